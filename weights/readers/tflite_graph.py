"""The operations and tensors of a .tflite file, with every index and length checked."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import FormatError

_DTYPES = {
    schema.TensorType.FLOAT32: np.dtype("<f4"),
    schema.TensorType.FLOAT16: np.dtype("<f2"),
    schema.TensorType.UINT8: np.dtype("u1"),
    schema.TensorType.INT8: np.dtype("i1"),
    schema.TensorType.INT16: np.dtype("<i2"),
    schema.TensorType.INT32: np.dtype("<i4"),
    schema.TensorType.INT64: np.dtype("<i8"),
}
_LAYERS = {
    schema.BuiltinOperator.CONV_2D: "conv",
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: "depthwise",
    schema.BuiltinOperator.FULLY_CONNECTED: "dense",
}


# The converter joins the names of all operations that it fused into one.
_LONGEST_NAME = 1 << 14
_OPERATION = 32  # bytes that one takes in a valid file, and more


def checked_length(length: int, data: bytes) -> int:
    """A declared number of items, each of which takes at least a byte of the file."""
    if not 0 <= length <= len(data):
        raise FormatError(f"truncated or damaged TFLite file (a vector of {length} items)")
    return length


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation with constant weights; tensors by index, `bias` is -1 without one."""

    kind: str
    input: int
    kernel: int
    bias: int
    multiplier: int


class Graph:
    """Bounds-checked access to the operations and tensors of one subgraph.

    `room` is what constants, operations, names and scales may still take: in a valid file they overlap
    little, in a crafted one a thousand references may lead to one long list.
    """

    def __init__(self, data: bytes, model, graph, room: list[int]) -> None:
        self.data, self.model, self.graph, self.room = data, model, graph, room
        self._take(_OPERATION * self.graph.OperatorsLength())
        self.sources = dict(self._dequantized())

    def layers(self) -> Iterator[Layer]:
        """Operations whose weights are constants, in the order of the file."""
        for code, operator in self._operators():
            kind, inputs = _LAYERS.get(code), self._inputs(operator)
            if kind is None:
                continue
            if len(inputs) < 2:
                raise FormatError("a layer has no weights")
            bias = self._source(inputs[2]) if len(inputs) > 2 else -1
            kernel = self._source(inputs[1])
            if self.is_constant(kernel):
                multiplier = _multiplier(operator) if kind == "depthwise" else 0
                yield Layer(kind, inputs[0], kernel, bias, multiplier)

    def tensor(self, index: int):
        """Tensor number `index`."""
        if not 0 <= index < self.graph.TensorsLength():
            raise FormatError(f"damaged: there is no tensor {index}")
        return self.graph.Tensors(index)

    def name(self, index: int) -> str:
        """Name of tensor number `index`."""
        name = self.tensor(index).Name() or b""
        self._take(len(name))
        if len(name) > _LONGEST_NAME:
            raise FormatError(f"damaged: a tensor has a name of {len(name)} bytes")
        return name.decode("utf-8")

    def quantization(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Scales, zero points and axis of tensor number `index`; no scales if it is not quantized."""
        found = self.tensor(index).Quantization()
        if found is None:
            return np.empty(0, np.float32), np.empty(0, np.int64), 0
        counts = (
            checked_length(found.ScaleLength(), self.data),
            checked_length(found.ZeroPointLength(), self.data),
        )
        self._take(4 * counts[0] + 8 * counts[1])
        scale = np.array(found.ScaleAsNumpy() if counts[0] else [], np.float32)
        zero = np.array(found.ZeroPointAsNumpy() if counts[1] else [], np.int64)
        return scale, zero, found.QuantizedDimension()

    def is_constant(self, index: int) -> bool:
        """Whether the tensor's values are in the file."""
        return self._buffer(self.tensor(index)) is not None

    def values(self, index: int) -> np.ndarray:
        """Stored values of a constant, in its shape and stored type."""
        tensor = self.tensor(index)
        dtype, buffer = _DTYPES.get(tensor.Type()), self._buffer(tensor)
        if dtype is None or tensor.Sparsity() is not None:
            raise FormatError(f"{self.name(index)[:80]!r} has an unsupported type or is sparse")
        if buffer is None:
            raise FormatError(f"{self.name(index)[:80]!r} has no constant value")
        shape = self.shape(index)
        start, size = buffer
        if int(np.prod(shape, dtype=object)) * dtype.itemsize != size:
            raise FormatError(f"damaged: {self.name(index)[:80]!r} {shape} has {size} bytes")
        self._take(size)
        return np.frombuffer(self.data[start : start + size], dtype).reshape(shape)

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of tensor number `index`."""
        tensor = self.tensor(index)
        if tensor.ShapeLength() > 8:
            raise FormatError("damaged: a tensor has more than 8 dimensions")
        shape = tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
        if min(shape, default=0) < 0:
            raise FormatError(f"damaged: a tensor has shape {shape}")
        return shape

    def _take(self, size: int) -> None:
        self.room[0] -= size
        if self.room[0] < 0:
            raise FormatError("damaged: what the file refers to is larger than the file")

    def _operators(self) -> Iterator[tuple[int, object]]:
        for index in range(checked_length(self.graph.OperatorsLength(), self.data)):
            operator = self.graph.Operators(index)
            if not 0 <= operator.OpcodeIndex() < self.model.OperatorCodesLength():
                raise FormatError(f"damaged: there is no operator code {operator.OpcodeIndex()}")
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            # codes below 127 were once stored in a byte; newer files fill both fields
            yield max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), operator

    def _inputs(self, operator) -> list[int]:
        """Input, weights and bias; further inputs mean nothing here."""
        return [operator.Inputs(index) for index in range(min(3, operator.InputsLength()))]

    def _dequantized(self) -> Iterator[tuple[int, int]]:
        """Output and input of each DEQUANTIZE: float16 weights stand behind one."""
        for code, operator in self._operators():
            if code == schema.BuiltinOperator.DEQUANTIZE and operator.OutputsLength() == 1:
                yield operator.Outputs(0), self._inputs(operator)[0]

    def _source(self, index: int) -> int:
        source = self.sources.get(index, index)
        return source if source == index or self.is_constant(source) else index

    def _buffer(self, tensor) -> tuple[int, int] | None:
        """First byte and size of a tensor's values; buffer 0 is empty by definition."""
        if not 0 <= tensor.Buffer() < self.model.BuffersLength():
            raise FormatError(f"damaged: there is no buffer {tensor.Buffer()}")
        buffer = self.model.Buffers(tensor.Buffer())
        if buffer.Offset() > 1:
            raise FormatError("buffers outside the flatbuffer are not supported")
        size = checked_length(buffer.DataLength(), self.data)
        if size == 0:
            return None
        table = buffer._tab
        start = table.Vector(table.Offset(4))
        if start + size > len(self.data):
            raise FormatError("truncated TFLite file (a buffer ends outside)")
        return start, size


def _multiplier(operator) -> int:
    """Depth multiplier of a depthwise convolution; 0 where the file does not state one."""
    table = operator.BuiltinOptions()
    if table is None:
        return 0
    options = schema.DepthwiseConv2DOptions()
    options.Init(table.Bytes, table.Pos)
    return options.DepthMultiplier()
