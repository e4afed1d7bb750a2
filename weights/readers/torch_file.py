"""Reads tensors from torch checkpoints without torch and without unpickling.

Both containers hold a pickle that describes tensors, which `torch_pickle` reads as data, and raw storages:
the zip archive (torch >= 1.6), and the legacy stream of five pickles (magic number, protocol, system,
objects, storage keys) followed by the storages.
"""

import contextlib
import io
import math
import mmap
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.torch_pickle import BFLOAT16, PickleMachine, Storage, Tensor, expect

WRAPPER_KEYS = ("state_dict", "model", "model_state_dict", "model_state", "net", "weights")

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a torch checkpoint by name, in the order of the file.

    The object must be a dictionary of tensors. If instead exactly one of `WRAPPER_KEYS` holds a
    non-empty dictionary of tensors, that one is taken and the rest of the object is ignored.

    Args:
        path: A ``.pth`` or ``.pt`` file in either container.

    Returns:
        Contiguous writable arrays in the host's byte order; bfloat16 tensors as float32 (exact);
        tied tensors share one array. Peak memory is the size of the file besides its page cache.

    Raises:
        FormatError: The file is damaged or truncated, or names a global outside the short list.
    """
    path = Path(path)
    try:
        with _mapped(path) as data:
            return _read(data)
    except FormatError as error:
        raise FormatError(f"{path.name}: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise FormatError(f"{path.name}: cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise FormatError("the file is empty") from error
        # closed with its last reference: the traceback of an error may hold a view of it
        yield data


def _read(data: mmap.mmap) -> dict[str, np.ndarray]:
    if data[:4] == b"PK\x03\x04":
        root, storages, order = _read_zip(data)
    elif data[:1] == b"\x80":
        root, storages, order = _read_legacy(data)
    else:
        raise FormatError(f"not a torch checkpoint, starts with {data[:8]!r}")
    return _materialise(_tensors(root), data, storages, order)


# --- containers ---------------------------------------------------------------------------------

# Each returns the object, a map of storage key to (first byte, byte count), and the byte order.


def _read_legacy(data: mmap.mmap):
    if PickleMachine().run(data) != _MAGIC:
        raise FormatError("not a torch checkpoint (wrong magic number)")
    if PickleMachine().run(data) != _PROTOCOL:
        raise FormatError("unknown version of the legacy torch container")
    system = expect(PickleMachine().run(data), dict)
    order = "<" if system.get("little_endian", True) else ">"
    machine = PickleMachine()
    root = machine.run(data)
    keys = expect(PickleMachine().run(data), list)
    position, extents = data.tell(), {}
    for key in keys:
        if not isinstance(key, str) or key in extents or key not in machine.storages:
            raise FormatError("the list of storages does not match the tensors")
        extents[key] = _legacy_extent(data, position, machine.storages[key], order)
        position = sum(extents[key])
    return root, extents, order


def _legacy_extent(data: mmap.mmap, position: int, storage: Storage, order: str):
    """Extent of the storage at `position`: an int64 count of items, then the items."""
    header = data[position : position + 8]
    if len(header) < 8:
        raise FormatError("the file is truncated (a storage is missing)")
    (count,) = struct.unpack(f"{order}q", header)
    start, size = position + 8, count * storage.itemsize
    if count != storage.count:
        raise FormatError(f"damaged: a storage holds {count} items in place of {storage.count}")
    if size > len(data) - start:
        raise FormatError(f"the file is truncated ({start + size - len(data)} bytes are missing)")
    return start, size


def _read_zip(data: mmap.mmap):
    members = _zip_members(data)
    roots = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise FormatError("not a torch checkpoint (the archive has no single data.pkl)")
    prefix = roots[0].removesuffix("data.pkl")
    order = _content(data, members.get(f"{prefix}byteorder", (0, 0))).strip()
    if order not in (b"", b"little", b"big"):
        raise FormatError(f"unknown byte order {order[:20]!r}")
    root = PickleMachine().run(io.BytesIO(_content(data, members[roots[0]])))
    prefix += "data/"
    extents = {name[len(prefix) :]: at for name, at in members.items() if name.startswith(prefix)}
    return root, extents, ">" if order == b"big" else "<"


def _content(data: mmap.mmap, extent: tuple[int, int]) -> bytes:
    start, size = extent
    return data[start : start + size]


def _zip_members(data: mmap.mmap) -> dict[str, tuple[int, int]]:
    """Extent of each member. Torch stores without compression, so anything else is refused."""
    try:
        with zipfile.ZipFile(data) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise FormatError(f"the archive is truncated or damaged ({error})") from error
    members: dict[str, tuple[int, int]] = {}
    for info in infos:
        name = info.orig_filename
        if name in members:
            raise FormatError(f"refused: the archive has two members {name[:80]!r}")
        if "\\" in name or "\0" in name or not all(p.strip(".") for p in name.split("/")):
            raise FormatError(f"refused: the archive has a member {name[:80]!r}")
        if info.compress_type or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise FormatError(f"refused: member {name[:80]!r} is compressed or encrypted")
        members[name] = (_content_start(data, info), info.file_size)
    return members


def _content_start(data: mmap.mmap, info: zipfile.ZipInfo) -> int:
    """First byte of a stored member, behind its local header."""
    header = data[info.header_offset : info.header_offset + 30]
    if info.header_offset < 0 or len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise FormatError(f"the archive is truncated or damaged at {info.orig_filename[:80]!r}")
    start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    if start + info.file_size > len(data):
        raise FormatError(f"the archive is truncated at {info.orig_filename[:80]!r}")
    return start


# --- tensors ------------------------------------------------------------------------------------


def _tensors(root) -> dict[str, Tensor]:
    """The dictionary of tensors: the object itself or the one value under a wrapper key."""
    expect(root, dict)
    wrapped = [root[key] for key in WRAPPER_KEYS if _is_state(root.get(key))]
    state = wrapped[0] if len(wrapped) == 1 else root
    if not _is_state(state):
        bad = next((key for key, value in state.items() if not isinstance(value, Tensor)), None)
        what = "it is empty" if bad is None else f"{str(bad)[:80]!r} is not a tensor"
        keys = ", ".join(WRAPPER_KEYS)
        raise FormatError(f"no dictionary of tensors at the top ({what}) or under one of {keys}")
    return state


def _is_state(value) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def _materialise(
    tensors: dict[str, Tensor], data: mmap.mmap, extents: dict[str, tuple[int, int]], order: str
) -> dict[str, np.ndarray]:
    """Copy each tensor out of the file; equal views of one storage share one array."""
    arrays: dict[tuple, np.ndarray] = {}
    result, room = {}, 2 * len(data)
    for name, tensor in tensors.items():
        storage = tensor.storage
        start, size = extents.get(storage.key, (0, -1))
        if storage.count * storage.itemsize > size:
            raise FormatError(f"the storage of {name[:80]!r} is missing or too short")
        identity = (storage.key, tensor.offset, tensor.shape, tensor.strides)
        if identity not in arrays:
            room -= math.prod(tensor.shape) * storage.itemsize
            if room < 0:
                raise FormatError("refused: the tensors are much larger than the file")
            arrays[identity] = _array(tensor, data, start, order)
        result[name] = arrays[identity]
    return result


def _array(tensor: Tensor, data: mmap.mmap, start: int, order: str) -> np.ndarray:
    storage, kind = tensor.storage, {BFLOAT16: "u2", "?": "u1"}.get(tensor.storage.dtype)
    dtype = np.dtype(kind or storage.dtype).newbyteorder(order)
    flat = np.empty(0, dtype)
    if storage.count:
        flat = np.frombuffer(data, dtype, storage.count, start)[tensor.offset :]
    steps = [
        step * dtype.itemsize if extent > 1 else 0
        for extent, step in zip(tensor.shape, tensor.strides, strict=True)
    ]
    try:
        view = np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)
    except ValueError as error:
        raise FormatError(f"a tensor has an impossible shape {tensor.shape}") from error
    array = view.astype(dtype.newbyteorder("="), order="C")
    if storage.dtype == BFLOAT16:  # the upper half of a float32
        return np.asarray(array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(array != 0) if storage.dtype == "?" else array
