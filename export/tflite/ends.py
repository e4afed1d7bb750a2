"""The ends of a quantized TFLite graph: bytes of an image in, 8-bit logits out."""

from __future__ import annotations

from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_BUILTIN, _TYPE = schema.BuiltinOperator, schema.TensorType
# Of an unsigned byte against a signed one.
_OFFSET = 128


@dataclass(frozen=True)
class Affine:
    """A normalization of one mean and one deviation for all channels: ``(image - mean) / scale``."""

    mean: float
    scale: float


def with_integer_ends(content: bytes, *, normalization: Affine | None = None) -> bytes:
    """The file with a uint8 input of bytes and, where its last layer is int8, a uint8 output.

    The converter leaves float32 ends with QUANTIZE behind the input and DEQUANTIZE before the output. A last
    layer that was left in float keeps its float32 output. A normalization becomes the scale and the zero
    point of the input where that is exact; else the input has the scale 1. The resize of the logits comes
    last, so that the types change at the size of the network's cells.

    Args:
        content: Of the converter.
        normalization: At the begin of the network, where it is that simple.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    _change_ends(model, normalization)
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _change_ends(model: schema.ModelT, normalization: Affine | None) -> None:
    graph = model.subgraphs[0]
    image, output = int(graph.inputs[0]), int(graph.outputs[0])
    _take_bytes(model, graph, image)
    if normalization is not None:
        _fold(model, graph, image, normalization)
    last = next(op for op in graph.operators if output in op.outputs)
    if _code(model, last) == _BUILTIN.DEQUANTIZE:
        _give_bytes(model, graph, last)


def _give_bytes(model: schema.ModelT, graph: schema.SubGraphT, last: schema.OperatorT) -> None:
    """Bytes in place of `last`, which makes floats of the int8 logits."""
    output, source = int(last.outputs[0]), int(last.inputs[0])
    quantization = graph.tensors[source].quantization
    unsigned = _quantization(quantization.scale[0], quantization.zeroPoint[0] + _OFFSET)
    graph.tensors[output].type, graph.tensors[output].quantization = _TYPE.UINT8, unsigned
    last.opcodeIndex = _opcode(model, _BUILTIN.QUANTIZE)
    last.builtinOptions, last.builtinOptionsType = None, 0
    resize = next(op for op in graph.operators if source in op.outputs)
    cells = graph.tensors[int(resize.inputs[0])]
    if _code(model, resize) != _BUILTIN.RESIZE_BILINEAR or not _alike(cells.quantization, quantization):
        return
    small = schema.TensorT(shape=cells.shape, type=_TYPE.UINT8, name="cells", quantization=unsigned)
    graph.tensors.append(small)
    # QUANTIZE first, and the resize from its result to the output.
    last.inputs, last.outputs = [int(resize.inputs[0])], [len(graph.tensors) - 1]
    resize.inputs, resize.outputs = [len(graph.tensors) - 1, *resize.inputs[1:]], [output]
    operators = [op for op in graph.operators if op is not last]
    operators.insert(operators.index(resize), last)
    graph.operators = operators


def _alike(one: schema.QuantizationParametersT, other: schema.QuantizationParametersT) -> bool:
    return one.scale[0] == other.scale[0] and one.zeroPoint[0] == other.zeroPoint[0]


def _fold(model: schema.ModelT, graph: schema.SubGraphT, image: int, normalization: Affine) -> None:
    """Let the input's scale and zero point say the normalization, and take its operations out.

    Exact where the mean is the value of a byte, and where the normalized image was given the same scale: a
    byte less 128 is then what the first layer reads.
    """
    # The converter leaves out what changes nothing.
    wanted = {_BUILTIN.SUB: normalization.mean != 0, _BUILTIN.MUL: normalization.scale != 1}
    chain = [_only_reader(graph, image)]
    for code in (code for code, is_there in wanted.items() if is_there):
        follows = chain[-1] and _only_reader(graph, int(chain[-1].outputs[0]))
        if not follows or _code(model, follows) != code:
            return
        chain.append(follows)
    first, *folded = chain
    if not folded or _code(model, first) != _BUILTIN.QUANTIZE or normalization.mean not in range(256):
        return
    normalized = int(folded[-1].outputs[0])
    quantization, zero_point = graph.tensors[normalized].quantization, int(normalization.mean) - _OFFSET
    close = np.isclose(quantization.scale[0] * normalization.scale, 1, rtol=1e-6, atol=0)
    if not close or quantization.zeroPoint[0] != zero_point:
        return
    graph.tensors[image].quantization = _quantization(quantization.scale[0], int(normalization.mean))
    first.outputs = [normalized]
    graph.operators = [op for op in graph.operators if all(op is not gone for gone in folded)]


def _only_reader(graph: schema.SubGraphT, tensor: int) -> schema.OperatorT | None:
    readers = [op for op in graph.operators if tensor in op.inputs]
    return readers[0] if len(readers) == 1 else None


def _take_bytes(model: schema.ModelT, graph: schema.SubGraphT, image: int) -> None:
    tensor = graph.tensors[image]
    readers = [op for op in graph.operators if image in op.inputs]
    floats = [op for op in readers if _code(model, op) != _BUILTIN.QUANTIZE]
    if floats:  # the first layer was left in float
        graph.tensors.append(schema.TensorT(shape=tensor.shape, type=_TYPE.FLOAT32, name="image_float"))
        for op in floats:
            op.inputs = np.where(np.asarray(op.inputs) == image, len(graph.tensors) - 1, op.inputs)
        code = _opcode(model, _BUILTIN.DEQUANTIZE)
        first = schema.OperatorT(opcodeIndex=code, inputs=[image], outputs=[len(graph.tensors) - 1])
        graph.operators.insert(0, first)
    tensor.type = _TYPE.UINT8
    tensor.quantization = _quantization(1.0, 0)


def _quantization(scale: float, zero_point: int) -> schema.QuantizationParametersT:
    return schema.QuantizationParametersT(
        scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
    )


def _code(model: schema.ModelT, operator: schema.OperatorT) -> int:
    return model.operatorCodes[operator.opcodeIndex].builtinCode


def _opcode(model: schema.ModelT, builtin: int) -> int:
    """Index of an operation among those that the file uses; added where it is missing."""
    codes = model.operatorCodes
    for index, code in enumerate(codes):
        if code.builtinCode == builtin:
            return index
    codes.append(schema.OperatorCodeT(builtinCode=builtin, deprecatedBuiltinCode=builtin, version=1))
    return len(codes) - 1
