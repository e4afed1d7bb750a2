"""Files of Keras, looked at before Keras reads them: nothing outside, and no size that they do not hold.

HDF5 can refer to other files (external links, virtual and external data), and can state a shape of which
not a byte is stored; the zip of a ``.keras`` file can hold links and bombs. Weights need none of that.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py

from zoo.errors import FormatError
from zoo.weights.readers import archive

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
            stored = member.compress_type == zipfile.ZIP_STORED
            return _check_h5(stream if stored else io.BytesIO(stream.read()), member.file_size)


def _check_h5(source, size: int) -> int:
    room, numbers = archive.allowed_bytes(size), 0
    with h5py.File(source, "r") as file:
        for name, dataset in _datasets(file):
            room -= _claimed(name, dataset)
            numbers += math.prod(dataset.shape or ())
            if room < 0:
                raise FormatError(f"the arrays claim far more than the {size:,} bytes of the file")
    return numbers


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every array of the file, found by hard links alone; each group is entered once."""
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
            if isinstance(entry, h5py.Dataset):
                yield name, entry
            elif isinstance(entry, h5py.Group):
                pending.append((entry, name, depth + 1))
            else:
                raise FormatError(f"refused: {name[:80]!r} is neither an array nor a group")


def _claimed(name: str, dataset: h5py.Dataset) -> int:
    """Bytes that reading the array takes."""
    if dataset.is_virtual or dataset.external:
        raise FormatError(f"refused: the values of {name[:80]!r} lie in another file")
    plan = dataset.id.get_create_plist()
    if any(plan.get_filter(index)[0] not in _FILTERS for index in range(plan.get_nfilters())):
        raise FormatError(f"refused: {name[:80]!r} is packed by a filter that is not HDF5's own")
    item = dataset.dtype.itemsize
    return (math.prod(dataset.shape or ()) + math.prod(dataset.chunks or ())) * item


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
