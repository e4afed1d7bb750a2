"""Dilated convolutions as operations: native kernels, and the right gradient on every device.

`tf.nn.convolution`, behind `keras.layers.Conv2D`, lowers a dilation to SpaceToBatchND, a plain convolution
and BatchToSpaceND. The operations here never do: a dense convolution calls TensorFlow's dilated kernel, a
depthwise one works on the rate² interleaved phases of its input, and an export traces both as single native
operations (`forward_only`).
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Iterator

import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import shaped, sides, whole_steps
from zoo.layers.gradients import with_gradient

# How layers lower themselves while a graph for deployment is traced; None while training is possible.
_FORWARD_ONLY: contextvars.ContextVar[str | None] = contextvars.ContextVar("forward_only", default=None)


@contextlib.contextmanager
def forward_only(*, depthwise: str = "phases") -> Iterator[None]:
    """Trace layers without support for gradients, as deployed graphs want them.

    Args:
        depthwise: How a dilated depthwise convolution appears in the graph. ``"phases"`` runs on every
            device. ``"native"`` is the single ``DepthwiseConv2dNative`` with its dilations attribute that
            the TFLite and ONNX converters translate to one operation; TensorFlow itself can run it only
            where oneDNN is active, and must never differentiate it (its registered gradient ignores the
            dilation).
    """
    if depthwise not in ("phases", "native"):
        raise InputError(f"depthwise must be 'phases' or 'native', not {depthwise!r}")
    token = _FORWARD_ONLY.set(depthwise)
    try:
        yield
    finally:
        _FORWARD_ONLY.reset(token)


def _device_type() -> str:
    """Where an operation created now would run: the requested device, else a GPU if there is one."""
    requested = tf.DeviceSpec.from_string(tf.constant(0).device or "")
    if requested.device_type:
        return requested.device_type
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


@functools.cache
def _has_native_gradient(device_type: str, dtype: str) -> bool:
    """Whether TensorFlow can differentiate a natively dilated ``conv2d`` here; tried on a tiny one.

    CPU kernels without oneDNN raise, and so do oneDNN's for 16-bit types.
    """
    options = {"strides": [1] * 4, "padding": "SAME", "dilations": [1, 2, 2, 1]}
    # The gradient's operations themselves: init_scope leaves a traced function, and pauses every tape.
    with tf.init_scope(), tf.device(f"/{device_type}:0"):
        x, kernel = tf.ones([1, 9, 9, 4], dtype), tf.ones([3, 3, 4, 4], dtype)
        try:
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=kernel, out_backprop=x, **options)
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=x, **options)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _tap_gradient(
    x: tf.Tensor, dy: tf.Tensor, *, size: tuple[int, int], rate: int, padded: bool = True
) -> tf.Tensor:
    """Gradient of a stride-1 convolution (SAME if `padded`) by its kernel: a matrix product for each tap."""
    shape = tf.shape(dy)
    if padded:
        pads = [rate * (k - 1) // 2 for k in size]
        x = tf.pad(x, [[0, 0], [pads[0]] * 2, [pads[1]] * 2, [0, 0]])
    flat_dy = tf.reshape(dy, [-1, dy.shape[-1]])
    taps = []
    for row in range(size[0]):
        for column in range(size[1]):
            top, left = row * rate, column * rate
            seen = x[:, top : top + shape[1], left : left + shape[2]]
            flat = tf.reshape(seen, [-1, x.shape[-1]])
            taps.append(tf.matmul(flat, flat_dy, transpose_a=True))
    return tf.reshape(tf.stack(taps), [*size, x.shape[-1], dy.shape[-1]])


def _same(x: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
    return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=rate)


def _same_gradient(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor, rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of `_same`, built from forward kernels and matrix products."""
    # The transpose of a SAME stride-1 convolution is the convolution with the mirrored kernel.
    mirrored = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
    size = (kernel.shape[0], kernel.shape[1])
    return _portable_same(dy, mirrored, rate), _tap_gradient(x, dy, size=size, rate=rate)


_portable_same = with_gradient("same", _same, _same_gradient)


def dilated_conv2d(x: tf.Tensor, kernel: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Stride-1 SAME convolution at `rate` by the native kernel, differentiable on every device.

    Args:
        x: ``(batch, height, width, channels)``, float.
        kernel: ``(rows, columns, channels, filters)``, odd sizes.
        rate: Distance between neighbouring taps, in pixels.

    Returns:
        ``(batch, height, width, filters)``.
    """
    if _FORWARD_ONLY.get() == "phases" and rate > 1:
        # In pixels: where a converter does not know the size, it writes SAME in words that ONNX Runtime
        # refuses beside a dilation.
        rows, columns = (rate * (k - 1) // 2 for k in kernel.shape[:2])
        return tf.nn.conv2d(x, kernel, 1, [[0, 0], [rows] * 2, [columns] * 2, [0, 0]], dilations=rate)
    if rate == 1 or _FORWARD_ONLY.get() or _has_native_gradient(_device_type(), x.dtype.name):
        return _same(x, kernel, rate)
    return _portable_same(x, kernel, rate)


def _tap_input_gradient(kernel: tf.Tensor, dy: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Gradient of a VALID, stride-1 convolution by its input: one matrix product for each tap."""
    rows, columns = kernel.shape[0], kernel.shape[1]
    shape, flat_dy = tf.shape(dy), tf.reshape(dy, [-1, dy.shape[-1]])
    taps = []
    for row in range(rows):
        for column in range(columns):
            part = tf.matmul(flat_dy, kernel[row, column], transpose_b=True)
            part = tf.reshape(part, tf.concat([shape[:3], [kernel.shape[2]]], axis=0))
            below, right = rate * (rows - 1 - row), rate * (columns - 1 - column)
            taps.append(tf.pad(part, [[0, 0], [rate * row, below], [rate * column, right], [0, 0]]))
    return tf.add_n(taps)


def _valid(x: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
    return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=rate)


def _valid_gradient(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor, rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    size = (kernel.shape[0], kernel.shape[1])
    by_kernel = _tap_gradient(x, dy, size=size, rate=rate, padded=False)
    return _tap_input_gradient(kernel, dy, rate=rate), by_kernel


_portable_valid = with_gradient("valid", _valid, _valid_gradient)


def dilated_valid_conv2d(x: tf.Tensor, kernel: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Stride-1 VALID convolution at `rate` by the native kernel, differentiable on every device.

    Cropping the SAME result gives the same numbers, but a kernel that spans most of its map (VGG's 7×7 at
    rate 4) would compute dozens of positions for each one that remains.

    Args:
        x: ``(batch, height, width, channels)``, float.
        kernel: ``(rows, columns, channels, filters)``.
        rate: Distance between neighbouring taps, in pixels.

    Returns:
        ``(batch, height − rate·(rows − 1), width − rate·(columns − 1), filters)``.
    """
    if rate == 1 or _FORWARD_ONLY.get() or _has_native_gradient(_device_type(), x.dtype.name):
        return _valid(x, kernel, rate)
    return _portable_valid(x, kernel, rate)


def _phases(x: tf.Tensor, rate: int) -> tuple[tf.Tensor, tuple]:
    """Interleaved sub-images of `x`, stacked along the batch, and their (rows, columns)."""
    batch, (height, width), channels = tf.shape(x)[0], sides(x), x.shape[-1]
    rows, columns = whole_steps(height, rate), whole_steps(width, rate)
    x = tf.pad(x, [[0, 0], [0, rows * rate - height], [0, columns * rate - width], [0, 0]])
    # One direction after the other: Core ML knows no more than five axes.
    x = tf.reshape(x, [batch * rows, rate, columns * rate, channels])
    x = tf.transpose(x, [1, 0, 2, 3])
    x = tf.reshape(x, [rate * batch * rows, columns, rate, channels])
    x = tf.transpose(x, [2, 0, 1, 3])
    return tf.reshape(x, [rate * rate * batch, rows, columns, channels]), (rows, columns)


def _from_phases(x: tf.Tensor, *, rate: int, grid: tuple, like: tf.Tensor) -> tf.Tensor:
    """The inverse of `_phases`, cropped to the size of `like`."""
    batch, (height, width), channels = tf.shape(like)[0], sides(like), like.shape[-1]
    rows, columns = grid
    x = tf.reshape(x, [rate, rate * batch * rows, columns, channels])
    x = tf.transpose(x, [1, 2, 0, 3])
    x = tf.reshape(x, [rate, batch * rows, columns * rate, channels])
    x = tf.transpose(x, [1, 0, 2, 3])
    x = tf.reshape(x, [batch, rows * rate, columns * rate, channels])
    return shaped(x[:, :height, :width], like.shape)


def _by_phases(x: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
    """Stride-1 SAME depthwise convolution at `rate`, as r² undilated ones."""
    phases, grid = _phases(x, rate)
    phases = tf.nn.depthwise_conv2d(phases, kernel, [1] * 4, "SAME")
    return _from_phases(phases, rate=rate, grid=grid, like=x)


def _shifted(x: tf.Tensor, dy: tf.Tensor, offset: int, *, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """What remains of both along `axis` where a tap at `offset` reads inside the map; maybe nothing."""
    length = tf.shape(x)[axis]
    rest = tf.maximum(length - abs(offset), 0)
    near, far = [slice(None)] * 4, [slice(None)] * 4
    near[axis], far[axis] = slice(0, rest), slice(length - rest, length)
    return (x[far], dy[near]) if offset > 0 else (x[near], dy[far])


def _depthwise_tap_gradient(x: tf.Tensor, dy: tf.Tensor, *, size: tuple[int, int], rate: int) -> tf.Tensor:
    """Gradient of a stride-1 SAME depthwise convolution by its kernel: a sum for each tap."""
    taps: list[tf.Tensor] = []
    for row in range(size[0]):
        for column in range(size[1]):
            # One after another, so that a single product of the map's size is alive at a time.
            with tf.control_dependencies(taps[-1:]):
                seen, weights = _shifted(x, dy, rate * (row - size[0] // 2), axis=1)
                seen, weights = _shifted(seen, weights, rate * (column - size[1] // 2), axis=2)
                products = tf.reshape(seen * weights, [-1, x.shape[-1]])
                # A product with ones sums 16-bit numbers in 32 bits, as `reduce_sum` does not.
                ones = tf.ones([1, tf.shape(products)[0]], products.dtype)
                taps.append(tf.matmul(ones, products))
    return tf.reshape(tf.stack(taps), [*size, x.shape[-1], 1])


def _depthwise_kernel_gradient(x: tf.Tensor, dy: tf.Tensor, *, size: tuple[int, int], rate: int) -> tf.Tensor:
    """Gradient of a stride-1 SAME depthwise convolution by its kernel, the faster way.

    The native kernel on the phases is the faster one, unless a phase is smaller than the convolution's
    kernel: then it takes a path that is tens of times slower, and a sum for each tap wins.
    """
    if any(side is None or whole_steps(side, rate) < k for side, k in zip(x.shape[1:3], size, strict=True)):
        return _depthwise_tap_gradient(x, dy, size=size, rate=rate)
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=_phases(x, rate)[0],
        filter_sizes=[*size, x.shape[-1], 1],
        out_backprop=_phases(dy, rate)[0],
        strides=[1] * 4,
        padding="SAME",
    )


def _depthwise_gradient(
    x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor, rate: int
) -> tuple[tf.Tensor, tf.Tensor]:
    dx = _depthwise(dy, kernel[::-1, ::-1], rate)
    return dx, _depthwise_kernel_gradient(x, dy, size=tuple(kernel.shape[:2]), rate=rate)


_depthwise = with_gradient("depthwise", _by_phases, _depthwise_gradient)


def dilated_depthwise_conv2d(x: tf.Tensor, kernel: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Stride-1 SAME depthwise convolution at `rate`, with the right gradient on every device.

    ``DepthwiseConv2dNative`` with a dilation runs on few devices and its gradient is silently wrong. A
    convolution at rate r is r² undilated ones on the interleaved phases of the input; those have native
    kernels everywhere. The gradient by the input is the same with the mirrored kernel.

    Args:
        x: ``(batch, height, width, channels)``, float.
        kernel: ``(rows, columns, channels, 1)``, odd sizes.
        rate: Distance between neighbouring taps, in pixels.

    Returns:
        ``(batch, height, width, channels)``.
    """
    if rate == 1:
        return tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "SAME")
    if _FORWARD_ONLY.get() == "native":
        return tf.raw_ops.DepthwiseConv2dNative(
            input=x, filter=kernel, strides=[1] * 4, padding="SAME", dilations=[1, rate, rate, 1]
        )

    if _FORWARD_ONLY.get():
        return _by_phases(x, kernel, rate)
    return _depthwise(x, kernel, rate)
