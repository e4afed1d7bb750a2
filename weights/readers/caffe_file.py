"""Reads the weights of .caffemodel files, old (``layers``) and new (``layer``), without Caffe.

Caffe writes one protocol buffer. Here the file is cut into its layers, and the protobuf library parses one
layer at a time, by a description of the few fields that matter. What is unknown is skipped (forks of Caffe
use field numbers that upstream gave away later), and no more than one layer is held twice.
"""

from __future__ import annotations

import functools
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from zoo.errors import FormatError

# Field numbers of NetParameter in BVLC/caffe, src/caffe/proto/caffe.proto.
_LAYER, _V1_LAYER = 100, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# A network has at most a few thousand layers, and a layer a few dozen fields and blobs.
_MAX_FIELDS, _MAX_PARTS = 100_000, 10_000
_MAX_RANK = 32  # Caffe's own limit, kMaxBlobAxes

# Name, number and type of the fields; packed numbers are read as the bytes that they are, uncopied. A packed
# field may come in several pieces, so it is repeated.
_FIELDS = {
    "BlobShape": [("dim", 1, "repeated int64")],
    "BlobProto": [
        ("num", 1, "int32"),
        ("channels", 2, "int32"),
        ("height", 3, "int32"),
        ("width", 4, "int32"),
        ("data", 5, "repeated bytes"),
        ("shape", 7, "BlobShape"),
        ("double_data", 8, "repeated bytes"),
    ],
    "LayerParameter": [("name", 1, "bytes"), ("blobs", 7, "repeated BlobProto")],
    "V1LayerParameter": [("name", 4, "bytes"), ("blobs", 6, "repeated BlobProto")],
}


@functools.cache
def _messages() -> dict[str, type]:
    """Message classes of `_FIELDS`, in a pool of their own so that they meet no other Caffe description."""
    kinds = descriptor_pb2.FieldDescriptorProto
    scalars = {"int32": kinds.TYPE_INT32, "int64": kinds.TYPE_INT64, "bytes": kinds.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(name="caffe_weights.proto", package="zoo", syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            *repeated, kind = kind.split()
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added.type = scalars.get(kind, kinds.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".zoo.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"zoo.{n}")) for n in _FIELDS}


def read_caffe(path: str | Path) -> dict[str, np.ndarray]:
    """Weights of every layer in the file, named ``<layer>/<index of the blob>``.

    By Caffe's habit blob 0 is the weight, (out, in, rows, columns) for a convolution and (out, in) for a
    fully connected layer, and blob 1 the bias. Sizes in the legacy form of four numbers are brought to that.

    Args:
        path: A ``.caffemodel`` file.

    Returns:
        Read-only float32 arrays.

    Raises:
        FormatError: The file is damaged, truncated or no caffemodel, holds no weights, has two layers of one
            name, or a blob whose size is not that of its data.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            arrays = _read(file)
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from error
    except DecodeError as error:
        raise FormatError(f"{path.name}: truncated or damaged caffemodel") from error
    except OSError as error:
        raise FormatError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    if not arrays:
        raise FormatError(f"{path.name}: not a caffemodel, or one without weights")
    return arrays


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    kinds = {_LAYER: "LayerParameter", _V1_LAYER: "V1LayerParameter"}
    arrays: dict[str, np.ndarray] = {}
    size = os.fstat(file.fileno()).st_size
    for number, length in _length_delimited(file, size=size, most=_MAX_FIELDS):
        if number not in kinds:
            file.seek(length, os.SEEK_CUR)
            continue
        layer = _parsed(file.read(length), kinds[number])
        name = layer.name.decode("utf-8", "replace")
        for index, blob in enumerate(layer.blobs):
            key = f"{name}/{index}"
            if key in arrays:
                raise FormatError(f"two layers are called {name[:120]!r}")
            arrays[key] = _array(blob, key, index)
    return arrays


def _parsed(content: bytes, kind: str):
    """One layer; of a million tiny parts the protobuf library would make an object each."""
    stream = io.BytesIO(content)
    try:
        for _, length in _length_delimited(stream, size=len(content), most=_MAX_PARTS):
            stream.seek(length, os.SEEK_CUR)
    except FormatError as error:
        raise FormatError(f"a layer is damaged: {error}") from error
    layer = _messages()[kind]()
    layer.ParseFromString(content)
    return layer


def _length_delimited(file: BinaryIO, *, size: int, most: int) -> Iterator[tuple[int, int]]:
    """(field number, length) of the outermost fields that hold bytes; who asks must move past each.

    Numbers are skipped. A length is compared with what the file has left before anything is read.
    """
    count = 0
    while file.tell() < size:
        count += 1
        if count > most:
            raise FormatError(f"damaged: more than {most} fields in a row")
        tag = _varint(file)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
            raise FormatError(f"not a caffemodel, or damaged at byte {file.tell()}")
        if wire == _VARINT:
            _varint(file)
            continue
        length = _varint(file) if wire == _BYTES else {_FIXED64: 8, _FIXED32: 4}[wire]
        if length > size - file.tell():
            raise FormatError(
                f"truncated caffemodel: {length} bytes declared at byte {file.tell()} of {size}"
            )
        if wire == _BYTES:
            yield number, length
        else:
            file.seek(length, os.SEEK_CUR)


def _varint(file: BinaryIO) -> int:
    """An integer of up to ten groups of seven bits."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise FormatError("truncated caffemodel")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise FormatError(f"not a caffemodel, or damaged at byte {file.tell()}")


def _array(blob, key: str, index: int) -> np.ndarray:
    """The values of a blob; a declared size is only compared with them, never allocated."""
    pieces, dtype = (blob.data, "<f4") if len(blob.data) else (blob.double_data, "<f8")
    raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    shape = _shape(blob, index)
    size, remainder = divmod(len(raw), np.dtype(dtype).itemsize)
    if len(shape) > _MAX_RANK or any(n < 0 for n in shape) or remainder or math.prod(shape) != size:
        shown = "×".join(map(str, shape[:8]))
        raise FormatError(f"blob {key[:120]!r} is declared {shown or 'a scalar'} but holds {size} values")
    return np.frombuffer(raw, dtype).reshape(shape).astype(np.float32, copy=False)


def _shape(blob, index: int) -> tuple[int, ...]:
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    legacy = (blob.num, blob.channels, blob.height, blob.width)
    if index > 0 and legacy[:3] == (1, 1, 1):
        return legacy[3:]  # a bias
    return legacy[2:] if legacy[:2] == (1, 1) else legacy  # a fully connected layer, or a convolution
