"""Writes TFLite files without TensorFlow."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


class Graph:
    """Builds a model of one subgraph with the schema's object interface."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.subgraphs, self.model.operatorCodes = [self.graph], []
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [0], [0]

    def tensor(self, name, shape, array=None, *, scale=None, zero=None, axis=0, type=None):
        tensor = schema.TensorT()
        types = {"f4": "FLOAT32", "f2": "FLOAT16", "u1": "UINT8", "i1": "INT8", "i4": "INT32"}
        types |= {"i8": "INT64", "c8": "COMPLEX64"}
        kind = type or (array.dtype.str[1:] if array is not None else "f4")
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = getattr(schema.TensorType, types[kind])
        if array is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(array.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(np.atleast_1d(scale))
            tensor.quantization.zeroPoint = list(np.atleast_1d(0 if zero is None else zero))
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, *, multiplier=None):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if multiplier is not None:
            operator.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
            operator.builtinOptions = schema.DepthwiseConv2DOptionsT()
            operator.builtinOptions.depthMultiplier = multiplier
        self.graph.operators.append(operator)

    def write(self, path):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def quantized_graph(*, bias_scale=0.125, weight_name="a/conv/Conv2D_Fold;a/conv/weights_quant/X"):
    graph = Graph()
    image = graph.tensor("image", (1, 5, 5, 3), type="u1", scale=0.5, zero=128)
    weights = np.arange(2 * 3 * 3 * 3, dtype="u1").reshape(2, 3, 3, 3)
    kernel = graph.tensor(weight_name, weights.shape, weights, scale=0.25, zero=10)
    bias = graph.tensor("a/conv/bias", (2,), np.array([-4, 8], "i4"), scale=bias_scale)
    output = graph.tensor("out", (1, 5, 5, 2), type="u1", scale=1.0)
    graph.operator("CONV_2D", [image, kernel, bias], [output])
    return graph, weights
