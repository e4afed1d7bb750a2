"""Gradients of one's own for convolutions, without a trace left behind.

`tf.custom_gradient` enters a function into TensorFlow's global registry at each trace. It is never removed,
and what it captures keeps the traced graph with it, whole weights among its constants. Here each kind of
convolution has one entry for good, which finds all that it needs in the operation itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.eager import record

Forward = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]
Gradient = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, int], tuple[tf.Tensor, tf.Tensor]]


def with_gradient(kind: str, forward: Forward, gradient: Gradient) -> Forward:
    """`forward` with another gradient than TensorFlow's.

    Args:
        kind: Name of the entry in the registry, one per gradient.
        forward: From the input, the kernel and the rate to the result.
        gradient: From input, kernel, the result's gradient and the rate to the gradients of both tensors.
    """
    entry = f"AtrousZoo/{kind}"

    def of_operation(operation, dy, *_):
        _, x, kernel, rate = operation.inputs
        return None, *gradient(x, kernel, dy, int(tf.get_static_value(rate))), None

    # A module that is loaded anew meets the entry of its predecessor, which does the same.
    with contextlib.suppress(KeyError):
        tf.RegisterGradient(entry)(of_operation)

    def eager(x, kernel, rate):
        @tf.custom_gradient
        def convolve(x, kernel):
            return forward(x, kernel, rate), lambda dy: gradient(x, kernel, dy, rate)

        return convolve(x, kernel)

    def traced(x, kernel, rate):
        x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
        given = [forward(x, kernel, rate), x, kernel, tf.constant(rate)]
        with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": entry}):
            marked = tf.raw_ops.IdentityN(input=given)

        def of_tape(dy, *_):
            return None, *gradient(x, kernel, dy, rate), None

        # Tapes do not look at the map: of two records of one result they follow the later.
        record.record_operation(entry, marked, given, of_tape)
        return marked[0]

    def convolve(x: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
        return eager(x, kernel, rate) if tf.executing_eagerly() else traced(x, kernel, rate)

    return convolve
