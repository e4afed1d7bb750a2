"""Reads the weights of ONNX files as data: the message is parsed, no operation is run.

Besides the weights a graph states facts about them in its nodes, which belong to a conversion: the epsilon
of each batch normalization and the constant shapes of reshapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.protobuf_parts import check_parts

# Suffixes of the facts; no published tensor has a colon in its name.
EPSILON = ":epsilon"
SHAPE = ":shape"
# Stated by the ONNX operator specification for nodes that leave the attribute out.
DEFAULT_EPSILON = 1e-5

# Number in TensorProto.DataType: stored type, field that holds the values when `raw_data` does not.
_FLOATS = {
    1: ("<f4", "float_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    16: ("bfloat16", "int32_data"),
}
_INTEGERS = {6: ("<i4", "int32_data"), 7: ("<i8", "int64_data")}
_EXTERNAL = 1  # TensorProto.DataLocation
_MAX_RANK = 8
_MAX_PARTS = 100_000  # nodes, or tensors; an empty one takes two bytes in the file and hundreds here
_MAX_MESSAGES = 500_000  # nodes, attributes, tensors, graphs in graphs and all else, at any depth


def read_onnx(path: str | Path) -> dict[str, np.ndarray]:
    """The weights of an ONNX file by name, and what its nodes state about them.

    Args:
        path: File of a ``ModelProto``; its values must be inside (no external data).

    Returns:
        Floating-point initializers and constants by name, in ONNX's layouts, 16-bit ones as float32. Each
        batch normalization adds ``<name of its scale>:epsilon``, a scalar; each reshape to a constant shape
        adds ``<name of its result>:shape``. Other integer tensors are shapes and indices, and are left out.

    Raises:
        FormatError: The file is no ONNX model, truncated or damaged, holds a tensor twice, of a type that
            has no use here, or outside the file.
    """
    path = Path(path)
    try:
        return dict(_entries(_parse(path)))
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from None


def parse_model(content: bytes):
    """The ``ModelProto`` of a file's bytes, which are counted before objects are made of them.

    Raises:
        FormatError: No message of that kind, truncated, or of too many parts.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    check_parts(content, ModelProto.DESCRIPTOR, most_in_one=_MAX_PARTS, most=_MAX_MESSAGES)
    try:
        return ModelProto.FromString(content)
    except (DecodeError, RuntimeError, UnicodeDecodeError):
        raise FormatError("not an ONNX model, or truncated") from None


def _parse(path: Path):
    """The graph; the whole file's bytes are let go as soon as they are parsed."""
    try:
        model = parse_model(path.read_bytes())
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}") from None
    if not model.graph.node or not model.ir_version:
        raise FormatError("not an ONNX model, or truncated (it has no graph)")
    _check_text(model.graph)
    return model.graph


def _check_text(graph) -> None:
    """Protobuf gives bytes for names that are no UTF-8."""
    named = [name for node in graph.node for name in (*node.input, *node.output, node.op_type)]
    named += [tensor.name for tensor in graph.initializer]
    if not all(isinstance(name, str) for name in named):
        raise FormatError("damaged: a name is not text")


def _entries(graph) -> Iterator[tuple[str, np.ndarray]]:
    integers, seen = {}, set()
    for name, tensor in _constants(graph):
        if name in seen:
            raise FormatError(f"damaged: tensor {name[:80]!r} is there twice")
        seen.add(name)
        if tensor.data_type in _FLOATS:
            yield name, _values(tensor, name, *_FLOATS[tensor.data_type])
        elif tensor.data_type in _INTEGERS:
            integers[name] = _values(tensor, name, *_INTEGERS[tensor.data_type])
        else:
            raise FormatError(f"tensor {name[:80]!r} has unsupported type {tensor.data_type}")
    yield from _facts(graph, integers)


def _constants(graph) -> Iterator[tuple[str, object]]:
    """Initializers, and the constants that some exporters write as nodes instead."""
    if graph.sparse_initializer:
        raise FormatError("sparse tensors are not supported")
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        value = next((a for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and value is not None and node.output:
            yield node.output[0], value.t


def _values(tensor, name: str, stored: str, field: str) -> np.ndarray:
    """Values in their shape: little-endian bytes, or a repeated field of the message."""
    if tensor.data_location == _EXTERNAL or tensor.external_data:
        raise FormatError(f"tensor {name[:80]!r} lies outside the file, which is refused")
    shape = tuple(tensor.dims)
    if len(shape) > _MAX_RANK or any(side < 0 for side in shape):
        raise FormatError(f"damaged: tensor {name[:80]!r} has shape {shape}")
    is_half = field == "int32_data" and stored != "<i4"
    bits = "<u2" if is_half else stored
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        if len(raw) != math.prod(shape) * np.dtype(bits).itemsize:
            raise FormatError(f"damaged: tensor {name[:80]!r} {shape} has {len(raw)} bytes")
        values = np.frombuffer(raw, bits)
    else:
        values = np.asarray(getattr(tensor, field))
        if values.size != math.prod(shape):
            raise FormatError(f"damaged: tensor {name[:80]!r} {shape} has {values.size} values")
        values = values.astype(bits)
    return _as_float(values, stored).reshape(shape) if is_half else values.reshape(shape)


def _as_float(bits: np.ndarray, stored: str) -> np.ndarray:
    """16-bit patterns as float32; bfloat16 is the upper half of one."""
    if stored == "bfloat16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.view(stored).astype(np.float32)


def _facts(graph, integers: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    scales = set()
    for node in graph.node:
        if node.op_type == "BatchNormalization" and len(node.input) >= 2:
            if node.input[1] not in scales:
                scales.add(node.input[1])
                stated = [a.f for a in node.attribute if a.name == "epsilon"]
                yield node.input[1] + EPSILON, np.float32(stated[0] if stated else DEFAULT_EPSILON)
        elif node.op_type == "Reshape" and node.output:
            stated = [np.array(a.ints, np.int64) for a in node.attribute if a.name == "shape"]
            if len(node.input) > 1 and node.input[1] in integers:
                stated.append(integers[node.input[1]])
            if stated:
                yield node.output[0] + SHAPE, stated[0]
