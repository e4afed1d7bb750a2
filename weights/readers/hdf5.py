"""Files of Keras, looked at before Keras reads them: nothing outside, and no size that they do not hold.

HDF5 can refer to other files (external links, virtual and external data), and can state a shape of which
not a byte is stored; the zip of a ``.keras`` file can hold links and bombs. Weights need none of that.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py

from zoo.errors import FormatError
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5_heaps import check_heaps
from zoo.weights.readers.hdf5_texts import check_texts

CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF)
_MAX_DEPTH = 64  # of groups in groups


def check_h5(path: str | Path) -> None:
    """Refuse an HDF5 file that is damaged, refers to anything outside, or claims what it does not hold.

    Raises:
        FormatError: In one line.
    """
    path = Path(path)
    try:
        _check_h5(path, path.stat().st_size)
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from error
    except archive.DAMAGE as error:
        raise FormatError(f"{path.name}: not a readable HDF5 file: {_line(error)}") from error


def check_keras(path: str | Path) -> int:
    """The same of a ``.keras`` file: of its archive, the description of its model, and the weights within.

    Returns:
        How many numbers the arrays of the weights have.

    Raises:
        FormatError: In one line.
    """
    with archive.opened(Path(path), kind=".keras") as file:
        names = file.namelist()
        if CONFIG not in names or _WEIGHTS not in names:
            raise FormatError(f"not a .keras file: it has no {CONFIG if CONFIG not in names else _WEIGHTS}")
        if not isinstance(json.loads(file.read(CONFIG)), dict):
            raise FormatError(f"not a .keras file: {CONFIG} describes no model")
        member = file.getinfo(_WEIGHTS)
        with file.open(member) as stream:
            if member.compress_type != zipfile.ZIP_STORED:
                return _check_h5(io.BytesIO(stream.read()), member.file_size)
        with Path(path).open("rb") as whole:
            return _check_h5(_Window(whole, member), member.file_size)


class _Window(io.RawIOBase):
    """The content of a stored member: to go back in it costs nothing, unlike in what zipfile opens."""

    def __init__(self, whole: BinaryIO, member: zipfile.ZipInfo):
        whole.seek(member.header_offset + 26)  # the lengths of the name and of what follows it
        name, extra = struct.unpack("<HH", whole.read(4))
        self._whole, self._size = whole, member.file_size
        self._start, self._place = member.header_offset + 30 + name + extra, 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._place)
        self._whole.seek(self._start + self._place)
        data = self._whole.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data

    def readinto(self, buffer) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _check_h5(source, size: int) -> int:
    with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as stream:
        check_heaps(stream)
        return _check_objects(source, stream, size)


def _check_objects(source, stream: BinaryIO, size: int) -> int:
    stream.seek(0)
    room = texts = archive.allowed_bytes(size)
    numbers = 0
    with h5py.File(source, "r") as file:
        for name, entry in _entries(file):
            texts = check_texts(stream, h5py.h5o.get_info(entry.id).addr, room=texts)
            room -= _said(entry)
            if isinstance(entry, h5py.Dataset):
                room -= _claimed(name, entry)
                numbers += math.prod(entry.shape or ())
            if room < 0:
                raise FormatError(f"the arrays claim far more than the {size:,} bytes of the file")
    return numbers


def _entries(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset | h5py.Group]]:
    """Every array and group of the file, found by hard links alone; each group is entered once."""
    yield "/", file["/"]
    pending, seen = [(file["/"], "", 0)], set()
    while pending:
        group, place, depth = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        if depth > _MAX_DEPTH:
            raise FormatError("refused: groups lie more than 64 deep in one another")
        for key in group:
            name = f"{place}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise FormatError(f"refused: {name[:80]!r} is a {type(link).__name__}, which leads elsewhere")
            entry = group[key]
            if isinstance(entry, h5py.Group):
                pending.append((entry, name, depth + 1))
            elif not isinstance(entry, h5py.Dataset):
                raise FormatError(f"refused: {name[:80]!r} is neither an array nor a group")
            yield name, entry


def _said(entry: h5py.Dataset | h5py.Group) -> int:
    """Bytes that reading its attributes takes."""
    found = (entry.attrs.get_id(name) for name in entry.attrs)
    return sum(math.prod(a.shape) * max(1, a.dtype.itemsize) for a in found)


def _claimed(name: str, dataset: h5py.Dataset) -> int:
    """Bytes that reading the array takes."""
    if dataset.dtype.hasobject:
        raise FormatError(f"refused: {name[:80]!r} holds texts or references, not numbers")
    if dataset.is_virtual or dataset.external:
        raise FormatError(f"refused: the values of {name[:80]!r} lie in another file")
    plan = dataset.id.get_create_plist()
    if any(plan.get_filter(index)[0] not in _FILTERS for index in range(plan.get_nfilters())):
        raise FormatError(f"refused: {name[:80]!r} is packed by a filter that is not HDF5's own")
    item = dataset.dtype.itemsize
    return (math.prod(dataset.shape or ()) + math.prod(dataset.chunks or ())) * item


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
