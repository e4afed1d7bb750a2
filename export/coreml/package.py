"""Core ML packages read as data: the manifest, the program and the file of weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.export.coreml.tools import MIL_pb2, Model_pb2

MANIFEST = "Manifest.json"
_DATA, _ROOT = "Data", "@model_path/"
_FUNCTION = "main"
_LARGEST_MANIFEST, _LARGEST_PROGRAM = 1 << 20, 1 << 28
# Of the record that stands before an array in the file of weights: a sign, a type, a length and a place.
_SENTINEL = 0xDEADBEEF
_RECORD = np.dtype([("sentinel", "<u4"), ("type", "<u4"), ("size", "<u8"), ("offset", "<u8")])
_TYPES = {
    MIL_pb2.FLOAT16: np.dtype("<f2"),
    MIL_pb2.FLOAT32: np.dtype("<f4"),
    MIL_pb2.INT8: np.dtype("i1"),
    MIL_pb2.UINT8: np.dtype("u1"),
    MIL_pb2.INT16: np.dtype("<i2"),
    MIL_pb2.UINT16: np.dtype("<u2"),
    MIL_pb2.INT32: np.dtype("<i4"),
    MIL_pb2.UINT32: np.dtype("<u4"),
    MIL_pb2.BOOL: np.dtype(np.bool_),
}
_LISTS = {"floats": "<f4", "ints": "<i4", "bools": "?", "doubles": "<f8", "longInts": "<i8"}


class Package:
    """A package whose program is that of one function.

    Attributes:
        description: Inputs, outputs and metadata, as Core ML's schema has them.
        operations: Of the program, in the order of execution.
        inputs: Names of the function's inputs.
        outputs: Names of its results.
    """

    def __init__(self, path: Path):
        """Read the package.

        Raises:
            FormatError: A folder that is none, or one that is damaged.
        """
        self._path = path
        specification = self._specification()
        model = Model_pb2.Model()
        try:
            model.ParseFromString(specification.read_bytes())
        except Exception as error:  # protobuf's families of errors have no common base
            raise self._damaged(type(error).__name__) from error
        self._folder = specification.parent
        self._files: dict[str, np.ndarray] = {}
        self.description = model.description
        function = model.mlProgram.functions.get(_FUNCTION)
        if function is None or function.opset not in function.block_specializations:
            raise self._damaged("it holds no ML program")
        block = function.block_specializations[function.opset]
        self.inputs = tuple(entry.name for entry in function.inputs)
        self.operations, self.outputs = tuple(block.operations), tuple(block.outputs)
        if not all(operation.outputs for operation in self.operations):
            raise self._damaged("an operation has no output")

    def _damaged(self, reason: str) -> FormatError:
        return FormatError(f"{self._path} cannot be read as a Core ML package: {reason}")

    def _specification(self) -> Path:
        manifest, data = self._path / MANIFEST, self._path / _DATA
        try:
            if manifest.stat().st_size > _LARGEST_MANIFEST:
                raise ValueError("the manifest is too large")
            content = json.loads(manifest.read_text(encoding="utf-8"))
            entry = content["itemInfoEntries"][content["rootModelIdentifier"]]
            place = (data / entry["path"]).resolve()
            if not place.is_relative_to(data.resolve()):
                raise ValueError("the manifest names a file outside of the package")
            if place.stat().st_size > _LARGEST_PROGRAM:
                raise ValueError("the program is too large")
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._damaged(str(error) or type(error).__name__) from error
        return place

    def constant(self, value: MIL_pb2.Value) -> np.ndarray | str:
        """A constant, of its own type; a text as `str`.

        Raises:
            FormatError: One that does not have the shape that it states.
        """
        tensor = value.type.tensorType
        if tensor.dataType == MIL_pb2.STRING:
            texts = value.immediateValue.tensor.strings.values
            return texts[0] if texts else ""
        if tensor.dataType not in _TYPES:
            raise self._damaged(f"a constant of type {MIL_pb2.DataType.Name(tensor.dataType)}")
        dtype = _TYPES[tensor.dataType]
        shape = tuple(d.constant.size for d in tensor.dimensions)
        array = self._stored(value.blobFileValue, dtype, shape) if value.HasField("blobFileValue") else None
        array = _immediate(value.immediateValue.tensor, dtype) if array is None else array
        if array.size != np.prod(shape, dtype=np.float64):
            raise self._damaged(f"a constant of shape {shape} holds {array.size} values")
        return array.reshape(shape)

    def _stored(self, place: MIL_pb2.Value.BlobFileValue, dtype: np.dtype, shape: tuple) -> np.ndarray:
        content, start = self._weights(place.fileName), place.offset
        if start + _RECORD.itemsize > len(content):
            raise self._damaged("the file of weights ends early")
        record = content[start : start + _RECORD.itemsize].view(_RECORD)[0]
        begin, size = int(record["offset"]), int(record["size"])
        expected = float(np.prod(shape, dtype=np.float64)) * dtype.itemsize
        if record["sentinel"] != _SENTINEL or size != expected or begin + size > len(content):
            raise self._damaged("the file of weights does not hold what the program names")
        return content[begin : begin + size].view(dtype)

    def _weights(self, name: str) -> np.ndarray:
        if name not in self._files:
            place = (self._folder / name.removeprefix(_ROOT)).resolve()
            if not place.is_relative_to(self._folder.resolve()) or not place.is_file():
                raise self._damaged(f"there is no file of weights {name[:80]!r} in it")
            self._files[name] = np.fromfile(place, np.uint8)
        return self._files[name]


def element_type(kind: int) -> np.dtype | None:
    """Type of a tensor's elements; `None` for one that is not computed with."""
    return _TYPES.get(kind)


def _immediate(tensor: MIL_pb2.TensorValue, dtype: np.dtype) -> np.ndarray:
    which = tensor.WhichOneof("value")
    if which is None:
        return np.zeros(0, dtype)
    if which == "bytes":
        content = tensor.bytes.values
        return np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)
    return np.asarray(getattr(tensor, which).values, _LISTS[which]).astype(dtype)
