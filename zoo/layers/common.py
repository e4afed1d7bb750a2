"""What the layers share: the name that Keras finds them under, and the reading of sizes."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError

PACKAGE = "atrous_zoo"
# Said to each layer of Keras that would ask its global setting.
CHANNELS_LAST = "channels_last"


def whole(value: object, what: str, *, least: int = 1, also: str = "") -> int:
    """`value` as Python's integer: whatever is an index, NumPy's integers too, but no boolean.

    Raises:
        InputError: Anything else, or less than `least`; names `what`, and what is allowed `also`.
    """
    kind = {0: "an integer from 0", 1: "a positive integer"}.get(least, f"an integer from {least}")
    try:
        found = least - 1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        found = least - 1
    if found < least:
        raise InputError(f"{what} must be {kind}{also}, not {value!r}")
    return found


def wholes(values: Iterable, what: str, *, allowed: str = "positive integers") -> tuple[int, ...]:
    """`whole` of each; `InputError` shows all of them, and what is allowed."""
    try:
        return tuple(whole(value, what) for value in tuple(values))
    except (TypeError, InputError):
        raise InputError(f"{what} must be {allowed}, not {values!r}") from None


def pair(value: int | tuple[int, int], what: str) -> tuple[int, int]:
    """`value` for both directions; `InputError` names `what` unless it is one or two positive integers."""
    try:
        both = tuple(value) if np.iterable(value) else (value, value)
        both = tuple(whole(side, what) for side in both)
    except InputError:
        both = ()
    if len(both) != 2:
        raise InputError(f"{what} must be a positive integer or a pair of them, not {value!r}")
    return both


@contextlib.contextmanager
def standard_globals() -> Iterator[None]:
    """Build layers with channels last and in float32, whatever Keras' global settings say.

    A mixed policy is left: it is asked for in code, and computes with float32 variables.
    """
    before = keras.config.image_data_format(), keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_image_data_format(CHANNELS_LAST)
    keras.config.set_floatx("float32")
    if not before[2].name.startswith("mixed_"):
        keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before[0])
        keras.config.set_floatx(before[1])
        keras.config.set_dtype_policy(before[2])


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
