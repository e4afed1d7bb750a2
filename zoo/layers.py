"""Convolutions that dilate natively, and the few layers that Keras lacks.

`keras.layers.Conv2D` lowers a dilation to SpaceToBatchND, a plain convolution and BatchToSpaceND. The
layers here never do: a dense convolution calls TensorFlow's dilated kernel, a depthwise one works on the
rate² interleaved phases of its input, and an export traces both as single native operations
(`forward_only`).
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
from collections.abc import Iterator

import keras
import tensorflow as tf

from zoo.errors import InputError

PACKAGE = "atrous_zoo"
PADDINGS = ("same", "symmetric", "valid")

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


# --- operations ---------------------------------------------------------------------------------------


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


def _portable_dilated_conv(x: tf.Tensor, kernel: tf.Tensor, rate: int) -> tf.Tensor:
    """Natively dilated forward pass with a gradient built from forward kernels and matrix products."""
    size = (kernel.shape[0], kernel.shape[1])

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(dy):
            # The transpose of a SAME stride-1 convolution is the convolution with the mirrored kernel.
            mirrored = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
            dx = _portable_dilated_conv(dy, mirrored, rate)
            return dx, _tap_gradient(x, dy, size=size, rate=rate)

        return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=rate), gradient

    return convolve(x, kernel)


def dilated_conv2d(x: tf.Tensor, kernel: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Stride-1 SAME convolution at `rate` by the native kernel, differentiable on every device.

    Args:
        x: ``(batch, height, width, channels)``, float.
        kernel: ``(rows, columns, channels, filters)``, odd sizes.
        rate: Distance between neighbouring taps, in pixels.

    Returns:
        ``(batch, height, width, filters)``.
    """
    if rate == 1 or _FORWARD_ONLY.get() or _has_native_gradient(_device_type(), x.dtype.name):
        return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=rate)
    return _portable_dilated_conv(x, kernel, rate)


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
        return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=rate)
    size = (kernel.shape[0], kernel.shape[1])

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(dy):
            dx = _tap_input_gradient(kernel, dy, rate=rate)
            return dx, _tap_gradient(x, dy, size=size, rate=rate, padded=False)

        return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=rate), gradient

    return convolve(x, kernel)


def _phases(x: tf.Tensor, rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Interleaved sub-images of `x`, stacked along the batch, and the padded size ``[rows, columns]``."""
    batch, height, width, channels = tf.unstack(tf.shape(x))
    rows, columns = -(-height // rate), -(-width // rate)
    x = tf.pad(x, [[0, 0], [0, rows * rate - height], [0, columns * rate - width], [0, 0]])
    x = tf.reshape(x, [batch, rows, rate, columns, rate, channels])
    x = tf.transpose(x, [2, 4, 0, 1, 3, 5])
    return tf.reshape(x, [rate * rate * batch, rows, columns, channels]), tf.stack([rows, columns])


def _from_phases(x: tf.Tensor, *, rate: int, grid: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The inverse of `_phases`, cropped to the size of `like`."""
    shape = tf.shape(like)
    x = tf.reshape(x, [rate, rate, shape[0], grid[0], grid[1], like.shape[-1]])
    x = tf.transpose(x, [2, 3, 0, 4, 1, 5])
    x = tf.reshape(x, [shape[0], grid[0] * rate, grid[1] * rate, like.shape[-1]])
    return tf.ensure_shape(x[:, : shape[1], : shape[2]], like.shape)


def dilated_depthwise_conv2d(x: tf.Tensor, kernel: tf.Tensor, *, rate: int) -> tf.Tensor:
    """Stride-1 SAME depthwise convolution at `rate`, with the right gradient on every device.

    ``DepthwiseConv2dNative`` with a dilation runs on few devices and its gradient is silently wrong. A
    convolution at rate r is r² undilated ones on the interleaved phases of the input; those have native
    kernels and right gradients everywhere.

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
    phases, grid = _phases(x, rate)
    phases = tf.nn.depthwise_conv2d(phases, kernel, [1] * 4, "SAME")
    return _from_phases(phases, rate=rate, grid=grid, like=x)


# --- layers -------------------------------------------------------------------------------------------


def _pair(value: int | tuple[int, int], what: str) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(not isinstance(k, int) or k < 1 for k in pair):
        raise InputError(f"{what} must be a positive integer or a pair of them, not {value!r}")
    return pair


def _output_length(length: int | None, *, kernel: int, stride: int, rate: int, padding: str):
    if length is None:
        return None
    reach = rate * (kernel - 1)
    if padding == "same":
        return -(-length // stride)
    if padding == "symmetric":
        length += 2 * (reach // 2)
    return (length - reach - 1) // stride + 1


class _Convolution(keras.layers.Layer):
    """What the dense and the depthwise convolution share: geometry, weights' settings, serialization."""

    def __init__(
        self,
        *,
        kernel_size,
        strides=1,
        rate=1,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = _pair(kernel_size, "kernel_size")
        for name, value in (("strides", strides), ("rate", rate)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a positive integer, not {value!r}")
        if padding not in PADDINGS:
            raise InputError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}")
        if strides > 1 and rate > 1:
            raise InputError(f"a convolution has a stride or a rate, not both: {strides}, {rate}")
        if rate > 1 and any(k % 2 == 0 for k in self.kernel_size):
            raise InputError(f"a dilated kernel must have odd sizes, not {self.kernel_size}")
        self.strides = strides
        self.rate = rate
        self.padding = padding
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias = None

    def _add_weights(self, kernel_shape, filters):
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(filters,), initializer="zeros")

    def call(self, x):
        # Keras casts a variable to the compute type; TensorFlow then reads it, so that the custom gradient
        # receives a tensor and not a variable.
        x = self._convolve(x, tf.convert_to_tensor(keras.ops.convert_to_tensor(self.kernel)))
        return x if self.bias is None else tf.nn.bias_add(x, keras.ops.convert_to_tensor(self.bias))

    def _convolve(self, x, kernel):
        if self.strides == 1 and self.padding != "valid":
            return self._dilated(x, kernel)  # symmetric and SAME are one at stride 1
        if self.rate > 1:
            return self._dilated_valid(x, kernel)
        if self.padding == "symmetric":
            # PyTorch pads both sides alike; TF SAME pads an even input at stride 2 only at its end,
            # which shifts every later feature by a pixel.
            rows, columns = ((k - 1) // 2 for k in self.kernel_size)
            x = tf.pad(x, [[0, 0], [rows] * 2, [columns] * 2, [0, 0]])
        return self._strided(x, kernel, "SAME" if self.padding == "same" else "VALID")

    def _spatial_output(self, shape):
        return tuple(
            _output_length(n, kernel=k, stride=self.strides, rate=self.rate, padding=self.padding)
            for n, k in zip(shape[1:3], self.kernel_size, strict=True)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "rate": self.rate,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class DilatedConv2D(_Convolution):
    """2-D convolution whose dilation runs in the native kernel, in training and in inference.

    ``(batch, height, width, channels)`` → ``(batch, height', width', filters)``.

    Args:
        filters: Channels of the output.
        kernel_size: Odd integer, or (rows, columns).
        strides: Step in both directions; 1 where `rate` is above 1.
        rate: Dilation: distance between neighbouring taps. 1 is an ordinary convolution.
        padding: ``"same"`` is TensorFlow's SAME; ``"symmetric"`` pads ``rate * (k - 1) // 2`` zeros on both
            sides as PyTorch and Caffe do (the two differ only at a stride); ``"valid"`` pads nothing.
        use_bias: Whether to add a bias for each filter.
        kernel_initializer: Keras initializer of the kernel ``(rows, columns, channels, filters)``.
        kernel_regularizer: Keras regularizer of the kernel, or `None`.
        **kwargs: ``name``, ``dtype`` and ``trainable`` of a Keras layer.

    Raises:
        InputError: A size, stride, rate or padding outside of the above.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise InputError(f"filters must be a positive integer, not {filters!r}")
        self.filters = filters

    def build(self, input_shape):
        self._add_weights((*self.kernel_size, input_shape[-1], self.filters), self.filters)

    def _dilated(self, x, kernel):
        return dilated_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        return dilated_valid_conv2d(x, kernel, rate=self.rate)

    def _strided(self, x, kernel, padding):
        return tf.nn.conv2d(x, kernel, self.strides, padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._spatial_output(input_shape), self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(PACKAGE)
class DilatedDepthwiseConv2D(_Convolution):
    """Depthwise 2-D convolution (one kernel a channel) whose dilation has the right gradient.

    ``(batch, height, width, channels)`` → ``(batch, height', width', channels)``. Arguments as in
    `DilatedConv2D`, without `filters`; the kernel is ``(rows, columns, channels, 1)``. The default
    initializer counts one channel as the fan-in: Keras' own would count all of them, and each layer would
    shrink its signal by the square root of the channels.
    """

    def __init__(self, *, kernel_size, kernel_initializer=None, **kwargs):
        if kernel_initializer is None:
            taps = math.prod(_pair(kernel_size, "kernel_size"))
            kernel_initializer = keras.initializers.RandomNormal(stddev=math.sqrt(2 / taps))
        super().__init__(kernel_size=kernel_size, kernel_initializer=kernel_initializer, **kwargs)

    def build(self, input_shape):
        self._add_weights((*self.kernel_size, input_shape[-1], 1), input_shape[-1])

    def _dilated(self, x, kernel):
        return dilated_depthwise_conv2d(x, kernel, rate=self.rate)

    def _dilated_valid(self, x, kernel):
        """Drop the border of a SAME result that saw padding: what remains is the VALID one."""
        x = self._dilated(x, kernel)
        rows, columns = (self.rate * (k - 1) // 2 for k in self.kernel_size)
        return x[:, rows : tf.shape(x)[1] - rows, columns : tf.shape(x)[2] - columns]

    def _strided(self, x, kernel, padding):
        return tf.nn.depthwise_conv2d(x, kernel, [1, self.strides, self.strides, 1], padding)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._spatial_output(input_shape), input_shape[-1])


@keras.saving.register_keras_serializable(PACKAGE)
class BroadcastLike(keras.layers.Layer):
    """Repeats a ``(batch, 1, 1, channels)`` feature over the map of a second tensor (image pooling).

    Resizing a single cell bilinearly, by either convention, is this.
    """

    def call(self, inputs):
        x, like = inputs
        shape = tf.shape(like)
        return tf.broadcast_to(x, tf.stack([shape[0], shape[1], shape[2], x.shape[-1]]))

    def compute_output_shape(self, input_shape):
        x, like = input_shape
        return (*like[:3], x[-1])


@keras.saving.register_keras_serializable(PACKAGE)
class HardSigmoid(keras.layers.Layer):
    """``relu6(x + 3) / 6``: the gate of MobileNetV3 (Howard et al. 2019, section 5.2), as PyTorch has it."""

    def call(self, x):
        return tf.nn.relu6(x + 3.0) * (1 / 6)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(PACKAGE)
class HardSwish(keras.layers.Layer):
    """``x · relu6(x + 3) / 6`` (Howard et al. 2019, section 5.2).

    Written as the product that converters recognise as one operation.
    """

    def call(self, x):
        return x * tf.nn.relu6(x + 3.0) * (1 / 6)

    def compute_output_shape(self, input_shape):
        return input_shape


def pooling_matrix(length: int | tf.Tensor, bins: int, dtype) -> tf.Tensor:
    """``(bins, length)`` matrix whose product with a signal is its mean in each bin.

    Bin i covers the indices from ⌊i·length/bins⌋ up to, and without, ⌈(i + 1)·length/bins⌉: neighbours share
    an index where the division leaves a rest, and a signal shorter than `bins` is repeated.
    """
    index, position = tf.range(bins)[:, None], tf.range(length)[None]
    start, stop = index * length // bins, -(-(index + 1) * length // bins)
    inside = tf.logical_and(position >= start, position < stop)
    return tf.cast(inside, dtype) / tf.cast(stop - start, dtype)


@keras.saving.register_keras_serializable(PACKAGE)
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Means over a grid of ``bins × bins`` cells, for a map of any size.

    ``(batch, height, width, channels)`` → ``(batch, bins, bins, channels)``. The cells are those of PyTorch's
    ``AdaptiveAvgPool2d``. Two matrix products, because they are differentiable, take any size at run time,
    and exist in every format of deployment.

    Args:
        bins: Cells in each direction.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Raises:
        InputError: `bins` that is no positive integer.
    """

    def __init__(self, bins: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(bins, int) or bins < 1:
            raise InputError(f"bins must be a positive integer, not {bins!r}")
        self.bins = bins

    def call(self, x):
        batch, height, width = tf.unstack(tf.shape(x)[:3])
        # A static length makes the matrix a constant of the graph.
        height, width = x.shape[1] or height, x.shape[2] or width
        channels = x.shape[-1]
        x = tf.reshape(x, tf.stack([batch, height, width * channels]))
        x = tf.matmul(pooling_matrix(height, self.bins, x.dtype), x)
        x = tf.reshape(x, tf.stack([batch * self.bins, width, channels]))
        x = tf.matmul(pooling_matrix(width, self.bins, x.dtype), x)
        return tf.reshape(x, tf.stack([batch, self.bins, self.bins, channels]))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.bins, self.bins, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}


@keras.saving.register_keras_serializable(PACKAGE)
class PadToMultiple(keras.layers.Layer):
    """Pads zeros at the right and the bottom up to the next multiple of a number, at any size.

    ``(batch, height, width, channels)`` → both sides rounded up to a multiple of `multiple`.

    Args:
        multiple: What both sides shall be divisible by, usually the output stride.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Attributes:
        padding: ``((top, bottom), (left, right))`` as Keras' padding layers have it; zeros stand in for
            sides that are known only at run time.
    """

    def __init__(self, *, multiple: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(multiple, int) or multiple < 1:
            raise InputError(f"multiple must be a positive integer, not {multiple!r}")
        self.multiple = multiple
        self.padding = ((0, 0), (0, 0))

    def build(self, input_shape):
        self.padding = tuple((0, -(n or 0) % self.multiple) for n in input_shape[1:3])

    def call(self, x):
        sides = [s or d for s, d in zip(x.shape[1:3], tf.unstack(tf.shape(x)[1:3]), strict=True)]
        rows, columns = (-side % self.multiple for side in sides)
        return tf.ensure_shape(
            tf.pad(x, [[0, 0], [0, rows], [0, columns], [0, 0]]), self.compute_output_shape(x.shape)
        )

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n + -n % self.multiple for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(PACKAGE)
class DepthToSpace(keras.layers.Layer):
    """Spreads each position's channels over a square of ``cell × cell`` positions.

    ``(batch, height, width, cell² · channels)`` → ``(batch, cell · height, cell · width, channels)``; channel
    ``(cell · i + j) · channels + c`` becomes channel c at row i, column j of the square.

    Args:
        cell: Side of the square.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, cell: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, int) or cell < 1:
            raise InputError(f"cell must be a positive integer, not {cell!r}")
        self.cell = cell

    def build(self, input_shape):
        if input_shape[-1] % self.cell**2:
            raise InputError(f"{input_shape[-1]} channels do not divide into cells of {self.cell}²")

    def call(self, x):
        return x if self.cell == 1 else tf.nn.depth_to_space(x, self.cell)

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n * self.cell for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1] // self.cell**2)

    def get_config(self):
        return {**super().get_config(), "cell": self.cell}


def mirrored_index(index: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
    """Position within ``0…length − 1`` that a signal, reflected over and over, shows at `index`.

    The border itself is not repeated: OpenCV's ``BORDER_REFLECT_101``, NumPy's ``"reflect"``.
    """
    period = tf.maximum(2 * (length - 1), 1)
    index = tf.math.floormod(index, period)
    return tf.minimum(index, period - index)


def _sides(x: tf.Tensor) -> list:
    """Height and width: integers where they are known, so that indices become constants of the graph."""
    dynamic = tf.unstack(tf.shape(x)[1:3])
    return [known or side for known, side in zip(x.shape[1:3], dynamic, strict=True)]


@keras.saving.register_keras_serializable(PACKAGE)
class ReflectionPadding2D(keras.layers.Layer):
    """Extends images of any size by reflection on all sides, and cuts them into tiles where wanted.

    ``(batch, height, width, channels)`` → both sides longer by ``2 * margin``. Unlike ``tf.pad`` it takes an
    image smaller than the margin, which is reflected as often as needed, as OpenCV does.

    With a `tile`, ``(batch * tiles, rows + 2 * margin, columns + 2 * margin, channels)``: tiles of
    ``rows × columns`` pixels with their margin, row by row. A tile that sticks out is filled up by reflecting
    its own content, margin included, a second time.

    Args:
        margin: Pixels on each side.
        tile: (rows, columns) of the image that one tile covers; `None` for the image as a whole.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Attributes:
        padding: ``((top, bottom), (left, right))``, as Keras' padding layers have it.

    Raises:
        InputError: A margin or tile that is no positive integer or pair of them.
    """

    def __init__(self, *, margin: int, tile: tuple[int, int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.margin = _pair(margin, "margin")[0]
        self.tile = None if tile is None else _pair(tuple(tile), "tile")
        self.padding = ((self.margin, self.margin),) * 2

    def _positions(self, length: int | tf.Tensor, tile: int | None) -> tf.Tensor:
        """Rows (or columns) of the image that the result consists of, one line for each tile."""
        tile = length if tile is None else tile
        start = tile * tf.range(-(-length // tile))[:, None]
        content = tf.minimum(tile, length - start) + 2 * self.margin
        place = start + mirrored_index(tf.range(tile + 2 * self.margin)[None], content)
        return mirrored_index(place - self.margin, length)

    def call(self, x):
        positions = [self._positions(n, t) for n, t in zip(_sides(x), self.tile or (None, None), strict=True)]
        shape = self.compute_output_shape(x.shape)
        x = tf.gather(x, tf.reshape(positions[0], [-1]), axis=1)
        x = tf.gather(x, tf.reshape(positions[1], [-1]), axis=2)
        if self.tile is None:
            return tf.ensure_shape(x, shape)
        (down, rows), (across, columns) = (tf.unstack(tf.shape(p)) for p in positions)
        x = tf.reshape(x, tf.stack([-1, down, rows, across, columns, shape[-1]]))
        return tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, *shape[1:]])

    def compute_output_shape(self, input_shape):
        batch = input_shape[0] if self.tile is None else None
        sides = (None if n is None else n + 2 * self.margin for n in self.tile or input_shape[1:3])
        return (batch, *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "tile": self.tile}


@keras.saving.register_keras_serializable(PACKAGE)
class JoinTiles(keras.layers.Layer):
    """Puts the maps of the tiles that `ReflectionPadding2D` cut side by side again.

    ``[(batch * tiles, rows, columns, any), image]`` → ``(batch, down * rows, across * columns, any)``.

    Args:
        tile: (rows, columns) of the image that one tile covers.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, tile: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.tile = _pair(tuple(tile), "tile")

    def call(self, inputs):
        x, image = inputs
        down, across = (-(-side // t) for side, t in zip(_sides(image), self.tile, strict=True))
        rows, columns, channels = x.shape[1:]
        x = tf.reshape(x, tf.stack([-1, down, across, rows, columns, channels]))
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
        return tf.reshape(x, tf.stack([-1, down * rows, across * columns, channels]))

    def compute_output_shape(self, input_shape):
        x, image = input_shape
        sizes = zip(image[1:3], self.tile, x[1:3], strict=True)
        return (image[0], *(None if n is None else -(-n // t) * cells for n, t, cells in sizes), x[-1])

    def get_config(self):
        return {**super().get_config(), "tile": self.tile}


@keras.saving.register_keras_serializable(PACKAGE)
class BilinearUpsampling2D(keras.layers.Layer):
    """Enlargement by the fixed, bilinear, per-channel deconvolution of Caffe, as float32.

    ``(batch, height, width, channels)`` → both sides times `factor`. The kernel has ``2 * factor`` taps at
    stride `factor`: half-pixel interpolation between the cells and zeros that stand around them.

    Args:
        factor: How many times larger.
        **kwargs: ``name`` of a Keras layer.

    Raises:
        InputError: A factor that is no positive integer.
    """

    def __init__(self, *, factor: int, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.factor = _pair(factor, "factor")[0]

    def call(self, x):
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        rows, columns = (self.factor * side for side in _sides(x))
        x = tf.raw_ops.ResizeBilinear(
            images=x, size=tf.stack([rows, columns]), half_pixel_centers=True, align_corners=False
        )
        return x[:, self.factor : rows - self.factor, self.factor : columns - self.factor]

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n * self.factor for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
