"""What kind of file a file is, by its content: names say what people thought when they saved it."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path

from zoo.weights.readers.sstable import FOOTER, is_table

_START = 4096
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_INDEX = 64 << 20  # most bytes of an index of shards


def kind_of(path: Path) -> str | None:
    """Name of the container that a file is by its first bytes; `None` where they do not tell."""
    start = _start(path)
    if not start:
        return None
    if start[:4] == b"PK\x03\x04":
        return _of_archive(path)
    if start[:2] in _PICKLES:
        return "torch"
    if start[4:8] == b"TFL3":
        return "tflite"
    if _is_safetensors(start, path.stat().st_size):
        return "safetensors"
    if start[:8] == _HDF5:
        return _of_hdf5(path)
    if _is_table(path):
        return "tf_checkpoint"
    if start.lstrip()[:1] == b"{" and is_index(path):
        return "shards"
    return None


def likely_kind(path: Path) -> str | None:
    """The same for a file whose name does not tell: by marks that files of other kinds could have as well.

    Protocol buffers have only the numbers of their first fields; and HDF5 holds many things.
    """
    start = _start(path)
    if start[:8] == _HDF5:
        return "keras_weights"
    if start[:2] == b"\x1f\x8b" or start[257:262] == b"ustar":
        return "tf_archive"
    if len(start) < 3:
        return None
    if start[0] == 8 and 3 <= start[1] <= 20 and start[2] in b"\x12\x1a\x3a\x42":
        return "onnx"  # the version of the format, then a text or the graph
    name = start[2 : 2 + start[1]] if start[0] == 10 else b""
    behind = start[2 + len(name) :] if name else start
    if name.isascii() and (behind[:2] == b"\xa2\x06" or (name and behind[:1] == b"\x12")):
        return "caffe"  # the name of the network, if it has one, then its layers
    return None


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_START)
    except OSError:
        return b""


def _of_archive(path: Path) -> str | None:
    """Torch's, NumPy's and Keras' files are all zip archives, with members of different names."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        return None
    if any(re.fullmatch(r"[^/]+/(data\.pkl|models/[^/]+\.json)", name) for name in names):
        return "torch"  # of torch.save, torch.jit.save or torch.export.save
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    return None


def _is_safetensors(start: bytes, size: int) -> bool:
    """Eight bytes with the length of a header in JSON, and the header."""
    if len(start) < 10 or start[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", start[:8])
    return 2 <= length <= size - 8


def _of_hdf5(path: Path) -> str | None:
    """Of Keras 2 are those that name their layers; others are told by their names."""
    from zoo.weights.readers.keras2_file import is_keras2  # with h5py, which other files need not

    return "keras2" if is_keras2(path) else None


def _is_table(path: Path) -> bool:
    """Whether a file ends as the index of a checkpoint of TensorFlow does."""
    try:
        with path.open("rb") as file:
            file.seek(-min(FOOTER, path.stat().st_size), 2)
            return is_table(file.read())
    except OSError:
        return False


def is_index(path: Path) -> bool:
    """Whether a file says which of several others has which tensor, as Hugging Face's libraries write it."""
    try:
        if path.stat().st_size > _INDEX:
            return False
        places = json.loads(path.read_bytes()).get("weight_map")
        files = list(places.values()) if isinstance(places, dict) else []
        # Keras' tables of weights in several files have the same key, and files of their own kind.
        return bool(files) and all(isinstance(file, str) and not file.endswith(".h5") for file in files)
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
