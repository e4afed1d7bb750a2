"""TensorFlow's operations in those of a Core ML program."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.errors import InputError
from zoo.export.coreml.moves import MOVES
from zoo.export.coreml.source import Operation
from zoo.export.coreml.tools import Builder as mb
from zoo.export.coreml.values import (
    AXIS,
    Inputs,
    Value,
    as_computed,
    constant_first,
    maps_first,
    maps_last,
    same_padding,
)
from zoo.export.coreml.weights import Kernels


class Translator:
    """Writes one operation after the other into the program that is being built.

    Attributes:
        kernels: Which make weights of arrays.
    """

    def __init__(self, kernels: Kernels):
        self.kernels = kernels

    def translate(self, operation: Operation, inputs: Inputs, name: str) -> Value:
        """The result of an operation; `name` is that of the operation in the program.

        Raises:
            InputError: An operation that has no translation.
        """
        kind = operation.kind
        if kind in _SAME:
            return inputs[0]
        if kind in _UNARY:
            value = inputs[0]
            return Value(_UNARY[kind](x=value.variable, name=name), value.first)
        if kind in _BINARY:
            return _binary(_BINARY[kind], inputs, name)
        if kind in ("Conv2D", "DepthwiseConv2dNative"):
            return self._convolution(operation, inputs, name)
        if kind not in _OTHER:
            raise InputError(f"{operation.name} is a {kind}, for which the Core ML export has no words")
        return _OTHER[kind](operation, inputs, name)

    def _convolution(self, operation: Operation, inputs: Inputs, name: str) -> Value:
        value, kernel = inputs
        if not isinstance(kernel, np.ndarray):
            raise InputError(f"{operation.name} computes its kernel, which the Core ML export does not write")
        strides = list(operation.attribute("strides")[1:3])
        rates = list(operation.attribute("dilations")[1:3])
        size, channels = operation.input_shapes[0][1:3], operation.input_shapes[0][3]
        if operation.kind == "Conv2D":
            groups, weight = channels // kernel.shape[2], kernel.transpose(3, 2, 0, 1)
        else:
            groups = channels
            weight = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
        result = mb.conv(
            x=maps_first(value),
            weight=self.kernels.variable(weight, name=f"{name}_weight"),
            strides=strides,
            pad_type="custom",
            pad=_padding(operation, size, kernel.shape[:2], strides, rates),
            dilations=rates,
            groups=groups,
            name=name,
        )
        return Value(result, first=True)


def _padding(operation: Operation, size, kernel, strides, rates) -> list[int]:
    padding = operation.attribute("padding")
    if padding == "EXPLICIT":
        return [int(n) for n in operation.attribute("explicit_paddings")[2:6]]
    return same_padding(size, kernel, strides, rates) if padding == "SAME" else [0] * 4


def _binary(make: Callable, inputs: Inputs, name: str) -> Value:
    first = any(isinstance(x, Value) and (x.first or x.variable.rank == 4) for x in inputs)
    rank = max(x.variable.rank for x in inputs if isinstance(x, Value))
    sides = [_side(x, first=first) for x in inputs]
    return Value(make(x=sides[0], y=sides[1], name=name), first=first and rank == 4)


def _side(x: Value | np.ndarray, *, first: bool):
    if isinstance(x, np.ndarray):
        return as_computed(constant_first(x) if first else x)
    if not first or x.variable.rank == 4:
        return maps_first(x)
    # A vector that was computed is broadcast along the channels.
    shape = [1] * (4 - x.variable.rank) + list(x.variable.shape)
    return mb.transpose(x=mb.reshape(x=x.variable, shape=shape), perm=(0, 3, 1, 2))


def _pool(operation: Operation, inputs: Inputs, name: str) -> Value:
    kernel, strides = (list(operation.attribute(key)[1:3]) for key in ("ksize", "strides"))
    padding = _padding(operation, operation.input_shapes[0][1:3], kernel, strides, (1, 1))
    settings = {"kernel_sizes": kernel, "strides": strides, "pad_type": "custom", "pad": padding}
    x = maps_first(inputs[0])
    if operation.kind == "MaxPool":
        return Value(mb.max_pool(x=x, **settings, name=name), first=True)
    return Value(mb.avg_pool(x=x, **settings, exclude_padding_from_average=True, name=name), first=True)


def _mean(operation: Operation, inputs: Inputs, name: str) -> Value:
    rank, keep = len(operation.input_shapes[0]), operation.attribute("keep_dims")
    axes = sorted(int(axis) % rank for axis in np.atleast_1d(inputs[1]))
    first = inputs[0].first and (keep or axes == [1, 2])
    x = inputs[0].variable if first else maps_last(inputs[0])
    axes = sorted(AXIS[axis] for axis in axes) if first else axes
    return Value(mb.reduce_mean(x=x, axes=axes, keep_dims=keep, name=name), first=first and keep)


def _resize(operation: Operation, inputs: Inputs, name: str) -> Value:
    height, width = (int(n) for n in inputs[1])
    mode = "DEFAULT"
    if operation.attribute("align_corners"):
        mode = "STRICT_ALIGN_CORNERS"
    elif operation.attribute("half_pixel_centers"):
        mode = "UNALIGN_CORNERS"
    resized = mb.resize_bilinear(
        x=maps_first(inputs[0]),
        target_size_height=height,
        target_size_width=width,
        sampling_mode=mode,
        name=name,
    )
    return Value(resized, first=True)


def _matmul(operation: Operation, inputs: Inputs, name: str) -> Value:
    x, y = (maps_last(v) if isinstance(v, Value) else as_computed(v) for v in inputs)
    keys = ("adj_x", "adj_y") if operation.kind.startswith("Batch") else ("transpose_a", "transpose_b")
    turned = dict(zip(("transpose_x", "transpose_y"), map(operation.attribute, keys), strict=True))
    return Value(mb.matmul(x=x, y=y, **turned, name=name))


def _softmax(operation: Operation, inputs: Inputs, name: str) -> Value:
    axis = 1 if inputs[0].first else -1
    return Value(mb.softmax(x=inputs[0].variable, axis=axis, name=name), inputs[0].first)


def _log(x, name: str):
    return mb.log(x=x, epsilon=np.float32(0), name=name)


_SAME = ("Identity", "StopGradient", "EnsureShape", "IdentityN", "PreventGradient")
_UNARY: Mapping[str, Callable] = {
    "Relu": mb.relu,
    "Relu6": mb.relu6,
    "Sigmoid": mb.sigmoid,
    "Tanh": mb.tanh,
    "Exp": mb.exp,
    "Log": _log,
    "Sqrt": mb.sqrt,
    "Abs": mb.abs,
    "Softplus": mb.softplus,
    "Elu": mb.elu,
    "Floor": mb.floor,
    "Square": mb.square,
}
_BINARY: Mapping[str, Callable] = {
    "AddV2": mb.add,
    "Add": mb.add,
    "BiasAdd": mb.add,
    "Sub": mb.sub,
    "Mul": mb.mul,
    "RealDiv": mb.real_div,
    "Maximum": mb.maximum,
    "Minimum": mb.minimum,
}
_OTHER: Mapping[str, Callable[[Operation, Inputs, str], Value]] = {
    **MOVES,
    "AvgPool": _pool,
    "BatchMatMulV2": _matmul,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mean": _mean,
    "ResizeBilinear": _resize,
    "Softmax": _softmax,
}
