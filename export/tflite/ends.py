"""The ends of a quantized TFLite graph: bytes of an image in, 8-bit logits out."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_BUILTIN, _TYPE = schema.BuiltinOperator, schema.TensorType
# Of an unsigned byte against a signed one.
_OFFSET = 128


def with_integer_ends(content: bytes) -> bytes:
    """The file with a uint8 input of scale 1 and, where its last layer is int8, a uint8 output.

    The converter leaves float32 ends with QUANTIZE behind the input and DEQUANTIZE before the output. A last
    layer that was left in float keeps its float32 output.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    _change_ends(model)
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _change_ends(model: schema.ModelT) -> None:
    graph = model.subgraphs[0]
    image, output = int(graph.inputs[0]), int(graph.outputs[0])
    _take_bytes(model, graph, image)
    last = next(op for op in graph.operators if output in op.outputs)
    if _code(model, last) == _BUILTIN.DEQUANTIZE:
        source = graph.tensors[int(last.inputs[0])].quantization
        offset = source.zeroPoint[0] + _OFFSET
        graph.tensors[output].type = _TYPE.UINT8
        graph.tensors[output].quantization = _quantization(source.scale[0], offset)
        last.opcodeIndex = _opcode(model, _BUILTIN.QUANTIZE)
        last.builtinOptions, last.builtinOptionsType = None, 0


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
