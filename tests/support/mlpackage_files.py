"""Small Core ML packages, written by the schema alone: each kind of constant, and one operation."""

import json
import struct
from pathlib import Path

import numpy as np

from zoo.export.coreml.tools import MIL_pb2, Model_pb2

WEIGHTS = "@model_path/weights/weight.bin"
MANIFEST = {
    "fileFormatVersion": "1.0.0",
    "itemInfoEntries": {"A": {"author": "com.apple.CoreML", "path": "com.apple.CoreML/model.mlmodel"}},
    "rootModelIdentifier": "A",
}
KERNEL = np.arange(8, dtype=np.float16)


def manifest() -> bytes:
    return json.dumps(MANIFEST).encode()


def weights() -> bytes:
    """A file of weights with one array, which stands behind its record."""
    record = struct.pack("<IIQQ", 0xDEADBEEF, 1, KERNEL.nbytes, 128)
    head = struct.pack("<II", 1, 2).ljust(64, b"\0")
    return (head + record).ljust(128, b"\0") + KERNEL.tobytes()


def _typed(value: MIL_pb2.ValueType, kind: int, shape) -> None:
    value.tensorType.dataType, value.tensorType.rank = kind, len(shape)
    for size in shape:
        value.tensorType.dimensions.add().constant.size = size


def _value(kind: int, shape, **content) -> MIL_pb2.Value:
    value = MIL_pb2.Value()
    _typed(value.type, kind, shape)
    for field, values in content.items():
        if field == "blob":
            value.blobFileValue.fileName, value.blobFileValue.offset = WEIGHTS, values
        elif field == "bytes":
            value.immediateValue.tensor.bytes.values = values
        else:
            getattr(value.immediateValue.tensor, field).values.extend(values)
    return value


def program() -> bytes:
    """A model that adds constants of each kind to a vector, and takes what is above zero."""
    model = Model_pb2.Model(specificationVersion=7)
    function = model.mlProgram.functions["main"]
    model.mlProgram.version, function.opset = 1, "CoreML6"
    source = function.inputs.add(name="x")
    _typed(source.type, MIL_pb2.FLOAT16, (8,))
    block = function.block_specializations["CoreML6"]

    def add(kind, name, dtype=MIL_pb2.FLOAT16, attributes=(), **inputs):
        operation = block.operations.add(type=kind)
        output = operation.outputs.add(name=name)
        _typed(output.type, dtype, (8,))
        for key, value in dict(attributes).items():
            operation.attributes[key].CopyFrom(value)
        for key, value in inputs.items():
            operation.inputs[key].arguments.add(name=value)

    add("const", "stored", attributes={"val": _value(MIL_pb2.FLOAT16, (8,), blob=64)})
    immediate = _value(MIL_pb2.FLOAT32, (8,), floats=[0.5] * 8)
    add("const", "immediate", MIL_pb2.FLOAT32, {"val": immediate})
    palette = {
        "indices": _value(MIL_pb2.UINT8, (1,), bytes=b"\x5a"),
        "lut": _value(MIL_pb2.FLOAT16, (2,), bytes=KERNEL[:2].tobytes()),
        "shape": _value(MIL_pb2.UINT32, (1,), bytes=struct.pack("<I", 8)),
    }
    add("constexpr_lut_to_dense", "palette", attributes=palette)
    integers = {
        "quantized_data": _value(MIL_pb2.INT8, (8,), bytes=bytes(range(8))),
        "zero_point": _value(MIL_pb2.INT8, (), bytes=b"\0"),
        "scale": _value(MIL_pb2.FLOAT16, (8,), bytes=KERNEL.tobytes()),
        "axis": _value(MIL_pb2.INT32, (), ints=[0]),
    }
    add("constexpr_affine_dequantize", "integers", attributes=integers)
    add("add", "a", x="x", y="stored")
    add("add", "b", x="a", y="palette")
    add("add", "c", x="b", y="integers")
    add("relu", "y", x="c")
    block.outputs.append("y")
    return model.SerializeToString(deterministic=True)


def write(folder: Path, **parts: bytes) -> Path:
    """The package in a folder, with other `parts` in place of its own: manifest, program, weights."""
    data = folder / "Data" / "com.apple.CoreML"
    (data / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "Manifest.json").write_bytes(parts.get("manifest", manifest()))
    (data / "model.mlmodel").write_bytes(parts.get("program", program()))
    (data / "weights" / "weight.bin").write_bytes(parts.get("weights", weights()))
    return folder
