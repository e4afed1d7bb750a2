"""Ground-truth masks as TensorFlow sees them: which pixels count, and whether their classes exist."""

from __future__ import annotations

import tensorflow as tf

from zoo.errors import InputError


def counted_pixels(y_true: tf.Tensor, *, ignore_label: int | None) -> tf.Tensor:
    """Where `y_true` is not the ignore label: bool of its shape."""
    if ignore_label is None:
        return tf.ones_like(y_true, tf.bool)
    return y_true != tf.cast(ignore_label, y_true.dtype)


def check_classes(values: tf.Tensor, *, classes: int, among: tf.Tensor, what: str) -> tf.Tensor:
    """Raise unless every value `among` the given pixels is a class.

    Args:
        values: Integer tensor.
        classes: Allowed are 0 to ``classes - 1``.
        among: bool of the same shape.
        what: Names the values in the message.

    Returns:
        Scalar bool, for graphs compiled by XLA, which drops the check.

    Raises:
        InputError: Eagerly; in a graph TensorFlow raises InvalidArgumentError with the same words.
    """
    outside = among & ((values < 0) | (values >= classes))
    valid = tf.logical_not(tf.reduce_any(outside))
    # Of the values outside, the largest one stands for all.
    found = tf.reduce_max(tf.where(outside, values, values.dtype.min))
    allowed = f"allowed are the classes 0 to {classes - 1}"
    if tf.executing_eagerly():
        if not valid:
            raise InputError(f"{what} has the value {int(found)}; {allowed}")
    else:
        tf.debugging.Assert(valid, [f"{what} has the value", found, allowed])
    return valid
