"""What the layers share: the name that Keras finds them under, and the reading of sizes."""

from __future__ import annotations

import tensorflow as tf

from zoo.errors import InputError

PACKAGE = "atrous_zoo"


def pair(value: int | tuple[int, int], what: str) -> tuple[int, int]:
    """`value` for both directions; `InputError` names `what` unless it is one or two positive integers."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or any(not isinstance(k, int) or k < 1 for k in both):
        raise InputError(f"{what} must be a positive integer or a pair of them, not {value!r}")
    return both


def sides(x: tf.Tensor) -> list:
    """Height and width: integers where they are known, so that indices become constants of the graph."""
    dynamic = tf.unstack(tf.shape(x)[1:3])
    return [known or side for known, side in zip(x.shape[1:3], dynamic, strict=True)]


def whole_steps(length, step: int):
    """`length` over `step`, rounded up: of an integer or a tensor of integers that are not negative.

    ``-(-length // step)`` is the same only where a quotient is rounded down; converters to other formats
    round it towards zero.
    """
    return (length + step - 1) // step


def shaped(x: tf.Tensor, shape) -> tf.Tensor:
    """`x` with what `shape` knows of its own; without an operation, which converters would have to know."""
    x.set_shape(shape)
    return x
