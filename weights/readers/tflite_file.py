"""Reads the weights of .tflite files, quantized or not, as float32 arrays in TensorFlow's layouts.

Only convolutions, depthwise convolutions and fully connected layers carry weights here. The
flatbuffer schema is the one that ships with LiteRT; no interpreter is involved.
"""

import re
import struct
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import FormatError
from zoo.weights.readers.tflite_graph import Graph, Layer, checked_length

_RANKS = {"conv": 4, "depthwise": 4, "dense": 2}
_ROOM = 4  # times the file; small ones are mostly names, which are asked for more than once
_TOLERANCE = 1e-3  # relative; converters round the product of the scales
_DAMAGE = (struct.error, ValueError, TypeError, LookupError, OverflowError, AttributeError)
# What follows the name of a layer in the name of its weights: the variable or the operation,
# which the converter numbers where it needs a second tensor of that name.
_SUFFIX = re.compile(
    r"/(weights_quant(/.*)?"
    r"|(Conv2D|depthwise|DepthwiseConv2dNative|MatMul|BiasAdd|convolution)(_Fold)?\d*"
    r"|(depthwise_)?(kernel|weights))$"
)


def read_tflite(path: str | Path) -> dict[str, np.ndarray]:
    """Weights of every layer in the file, named ``<layer>/kernel`` and ``<layer>/bias``.

    ``<layer>`` is the name of the weight tensor up to ``;`` without the operation or variable at
    its end: ``MobilenetV2/Conv/Conv2D_Fold;…`` gives ``MobilenetV2/Conv``. Quantized values become
    ``scale · (q − zero_point)``, per tensor or per channel; the scale of a bias is that of the
    layer's input times that of its kernel.

    Args:
        path: A ``.tflite`` file.

    Returns:
        Contiguous float32 arrays. Kernels: convolutions (height, width, in, out); depthwise
        convolutions (height, width, in, multiplier); fully connected (in, out).

    Raises:
        FormatError: The file is damaged or not TFLite, two layers have one name, a tensor has an
            unsupported type, or the scale of a bias contradicts those of its layer.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        return _read(data)
    except FormatError as error:
        raise FormatError(f"{path.name}: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise FormatError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise FormatError(f"{path.name}: truncated or damaged TFLite file ({error})") from error


def _read(data: bytes) -> dict[str, np.ndarray]:
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise FormatError("not a TFLite file (identifier TFL3 is missing)")
    model = schema.Model.GetRootAs(data, 0)
    arrays: dict[str, np.ndarray] = {}
    seen: dict[str, tuple] = {}
    room = [_ROOM * len(data)]
    for index in range(checked_length(model.SubgraphsLength(), data)):
        graph = Graph(data, model, model.Subgraphs(index), room)
        for layer in graph.layers():
            identity = (index, layer.kernel, layer.bias)
            name = _layer_name(graph.name(layer.kernel))
            if seen.setdefault(name, identity) != identity:
                raise FormatError(f"two layers are called {name[:120]!r}")
            if f"{name}/kernel" not in arrays:
                arrays |= _layer_arrays(graph, layer, name)
    return arrays


def _layer_name(tensor_name: str) -> str:
    first = tensor_name.split(";", 1)[0]
    return _SUFFIX.sub("", re.sub(r"/ReadVariableOp\d*$", "", first))


def _layer_arrays(graph: Graph, layer: Layer, name: str) -> dict[str, np.ndarray]:
    values = graph.values(layer.kernel)
    if values.ndim != _RANKS[layer.kind]:
        raise FormatError(f"{name[:80]!r}: weights of shape {values.shape} do not fit the layer")
    kernel = _dequantize(values, *_parameters(graph, layer.kernel))
    arrays = {f"{name}/kernel": np.ascontiguousarray(_tf_layout(kernel, graph, layer))}
    if layer.bias >= 0:
        arrays[f"{name}/bias"] = _bias(graph, layer, name)
    return arrays


def _parameters(graph: Graph, index: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Scales, zero points and axis of a tensor; no scales if it is not quantized."""
    scale, zero, axis = graph.quantization(index)
    if not np.isfinite(scale).all() or (scale < 0).any():
        raise FormatError(f"damaged: {graph.name(index)[:80]!r} has an impossible scale")
    return scale, zero, axis


def _dequantize(values: np.ndarray, scale: np.ndarray, zero: np.ndarray, axis: int) -> np.ndarray:
    """``scale · (q − zero_point)``, exact up to the one rounding of the product."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if zero.size == 0:
        zero = np.zeros_like(scale, np.int64)
    if scale.size == 0 or zero.size not in (1, scale.size):
        raise FormatError("damaged: an integer tensor has no usable scale and zero point")
    if scale.size > 1:
        if not 0 <= axis < values.ndim or values.shape[axis] != scale.size:
            raise FormatError(f"damaged: {scale.size} scales for axis {axis} of {values.shape}")
        shape = [-1 if index == axis else 1 for index in range(values.ndim)]
        scale = scale.reshape(shape)
        zero = zero.reshape(shape) if zero.size > 1 else zero
    with np.errstate(over="ignore"):
        return ((values.astype(np.int64) - zero) * scale.astype(np.float64)).astype(np.float32)


def _tf_layout(kernel: np.ndarray, graph: Graph, layer: Layer) -> np.ndarray:
    if layer.kind == "dense":
        return kernel.T  # (out, in) -> (in, out)
    if layer.kind == "conv":
        return kernel.transpose(1, 2, 3, 0)  # OHWI -> HWIO
    one, height, width, outputs = kernel.shape
    shape = graph.shape(layer.input)
    multiplier = layer.multiplier or (outputs // shape[-1] if shape and shape[-1] else 0)
    if one != 1 or multiplier <= 0 or outputs % multiplier:
        raise FormatError(f"damaged: depthwise weights {kernel.shape}, multiplier {multiplier}")
    # output channel = input channel · multiplier + index
    return kernel.reshape(height, width, outputs // multiplier, multiplier)


def _bias(graph: Graph, layer: Layer, name: str) -> np.ndarray:
    values = graph.values(layer.bias)
    kernel_shape = graph.shape(layer.kernel)
    outputs = kernel_shape[3] if layer.kind == "depthwise" else kernel_shape[0]
    if values.size != outputs:
        raise FormatError(f"{name[:80]!r}: {values.size} biases for {outputs} outputs")
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    product = _parameters(graph, layer.input)[0] * _parameters(graph, layer.kernel)[0]
    scale, zero, _ = _parameters(graph, layer.bias)
    if product.size == 0 or zero.any():
        raise FormatError(f"{name[:80]!r}: an integer bias without scales or with a zero point")
    if scale.size == 0:
        scale = product
    if scale.size not in (1, product.size) or not np.allclose(scale, product, rtol=_TOLERANCE, atol=0):
        raise FormatError(f"{name[:80]!r}: the bias scale is not input scale times kernel scale")
    return _dequantize(values, scale, np.zeros(1, np.int64), 0)
