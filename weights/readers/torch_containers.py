"""What torch packs its pickles in: a zip archive, the older stream, or nothing, as ``pickle.dump`` does.

Each gives the object, and where in the file the numbers of each storage are.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import partial

from zoo.errors import FormatError
from zoo.weights.readers.archive import allowed_bytes
from zoo.weights.readers.torch_objects import Storage
from zoo.weights.readers.torch_pickle import PickleMachine
from zoo.weights.readers.torch_rebuild import expect

SAVE = "save the tensors in PyTorch: torch.save(model.state_dict(), 'weights.pth')"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# A pickle of tensors by `pickle.dump` holds a torch file for each of them.
_NESTED_LIMIT = 100_000

Extent = tuple[int, int]  # first byte, number of bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """A torch file, opened.

    Attributes:
        root: The object, as `PickleMachine` gives it.
        data: The file.
        extents: Where each storage is, by its key.
        unpacked: Storages that the archive holds compressed, by their key.
        order: ``"<"`` or ``">"``, of the numbers in storages.
        is_script: Whether it is TorchScript, which has its code beside the tensors.
    """

    root: object
    data: bytes | mmap.mmap
    extents: dict[str, Extent] = field(default_factory=dict)
    unpacked: dict[str, bytes] = field(default_factory=dict)
    order: str = "<"
    is_script: bool = False

    def content(self, storage: Storage) -> bytes | mmap.mmap:
        """The buffer in which a storage is; its place there is what `place` says."""
        if storage.content is not None:
            return storage.content
        return self.unpacked.get(storage.key, self.data)

    def place(self, storage: Storage) -> Extent:
        """Where in its buffer a storage is; a negative length if nowhere."""
        if storage.content is not None:
            return 0, len(storage.content)
        if storage.key in self.unpacked:
            return 0, len(self.unpacked[storage.key])
        return self.extents.get(storage.key, (0, -1))


def open_torch(data: mmap.mmap) -> Contents:
    """Read everything but the numbers.

    Raises:
        FormatError: Not a torch file, a damaged one, or one that is refused.
    """
    if data[:4] == b"PK\x03\x04":
        return _read_zip(data)
    if data[:1] == b"\x80":
        return _read_stream(data)
    raise FormatError(f"not a torch checkpoint, starts with {data[:8]!r}")


# --- the older stream, and plain pickles ----------------------------------------------------------


def _read_stream(data: mmap.mmap) -> Contents:
    first = PickleMachine(size=len(data), nested=_nested_reader())
    root = first.run(data)
    if root != _MAGIC:
        if first.storages:
            raise FormatError("not a torch checkpoint (wrong magic number)")
        return Contents(root=root, data=data)
    return _read_legacy(data, size=len(data))


def _read_legacy(stream, *, size: int) -> Contents:
    """The older stream, behind its magic number: protocol, system, object and keys as pickles; storages."""
    if PickleMachine().run(stream) != _PROTOCOL:
        raise FormatError("unknown version of the legacy torch container")
    system = expect(PickleMachine().run(stream), dict)
    order = "<" if system.get("little_endian", True) else ">"
    machine = PickleMachine(size=size)
    root = machine.run(stream)
    keys = expect(PickleMachine(size=size).run(stream), list)
    position, extents = stream.tell(), {}
    for key in keys:
        if not isinstance(key, str) or key in extents or key not in machine.storages:
            raise FormatError("the list of storages does not match the tensors")
        extents[key] = _legacy_extent(stream, position, machine.storages[key], order, size)
        position = sum(extents[key])
    data = stream if isinstance(stream, mmap.mmap) else stream.getbuffer()
    return Contents(root=root, data=data, extents=extents, order=order)


def _legacy_extent(stream, position: int, storage: Storage, order: str, size: int) -> Extent:
    """Extent of the storage at `position`: an int64 count of items, then the items."""
    stream.seek(min(position, size))
    header = stream.read(8)
    if len(header) < 8:
        raise FormatError("the file is truncated (a storage is missing)")
    (count,) = struct.unpack(f"{order}q", header)
    start, length = position + 8, count * storage.dtype.itemsize
    if count != storage.count:
        raise FormatError(f"damaged: a storage holds {count} items in place of {storage.count}")
    if length > size - start:
        raise FormatError(f"the file is truncated ({start + length - size} bytes are missing)")
    return start, length


def _nested_reader():
    """Reads torch files that are within a pickle, each of one storage."""
    read = 0

    def nested(content: bytes | str) -> Storage:
        nonlocal read
        read += 1
        if read > _NESTED_LIMIT:
            raise FormatError(f"refused: more than {_NESTED_LIMIT} files within the pickle")
        raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
        stream = io.BytesIO(raw)
        if PickleMachine().run(stream) != _MAGIC:
            raise FormatError("refused: the pickle holds a file that is not torch's")
        inner = _read_legacy(stream, size=len(raw))
        storage = expect(inner.root, Storage)
        start, length = inner.place(storage)
        if inner.order == ">" or length < 0:
            raise FormatError("a tensor within the pickle is not read")
        return Storage(storage.key, storage.dtype, storage.count, raw[start : start + length])

    return nested


# --- the zip archive ------------------------------------------------------------------------------


def _read_zip(data: mmap.mmap) -> Contents:
    members = _zip_members(data)
    roots = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        if any("/models/" in name and name.endswith(".json") for name in members):
            raise FormatError(f"a program of torch.export, which is not read; {SAVE}")
        raise FormatError("not a torch checkpoint (the archive has no single data.pkl)")
    prefix = roots[0].removesuffix("data.pkl")
    content = partial(_content, data, members)
    order = content(f"{prefix}byteorder").strip()
    if order not in (b"", b"little", b"big"):
        raise FormatError(f"unknown byte order {order[:20]!r}")
    machine = PickleMachine(size=len(data))
    root = machine.run(io.BytesIO(content(roots[0])))
    held = {key: members[n] for key in machine.storages if (n := f"{prefix}data/{key}") in members}
    packed = {key for key, info in held.items() if info.compress_type}
    is_script = any(name.startswith(f"{prefix}code/") for name in members)
    return Contents(
        root=root,
        data=data,
        extents={key: _extent(data, info) for key, info in held.items() if key not in packed},
        unpacked={key: _unpacked(data, held[key]) for key in packed},
        order=">" if order == b"big" else "<",
        is_script=is_script,
    )


def _zip_members(data: mmap.mmap) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(data) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        raise FormatError(f"the archive is truncated or damaged ({error})") from error
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.orig_filename
        if name in members:
            raise FormatError(f"refused: the archive has two members {name[:80]!r}")
        if "\\" in name or "\0" in name or not all(p.strip(".") for p in name.split("/")):
            raise FormatError(f"refused: the archive has a member {name[:80]!r}")
        members[name] = info
    # Torch compresses nothing; archives that were packed anew are.
    total = sum(info.file_size for info in infos if info.compress_type)
    if total > allowed_bytes(len(data)):
        raise FormatError(f"refused: the archive claims to unpack to {total:,} bytes")
    return members


def _content(data: mmap.mmap, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    """What a member holds; nothing for one that is absent."""
    if name not in members:
        return b""
    if members[name].compress_type:
        return _unpacked(data, members[name])
    start, size = _extent(data, members[name])
    return data[start : start + size]


def _unpacked(data: mmap.mmap, info: zipfile.ZipInfo) -> bytes:
    """What a deflated member holds."""
    start, size = _extent(data, info)
    try:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        content = unpacker.decompress(data[start : start + size], info.file_size + 1)
    except zlib.error as error:
        raise FormatError(f"the archive is damaged at {info.orig_filename[:80]!r} ({error})") from None
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise FormatError(f"the archive is damaged at {info.orig_filename[:80]!r}")
    return content


def _extent(data: mmap.mmap, info: zipfile.ZipInfo) -> Extent:
    """Where a member is, behind its local header, as it is packed."""
    shown = repr(info.orig_filename[:80])
    plain = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    if info.flag_bits & 1 or not (plain or info.compress_type == zipfile.ZIP_DEFLATED):
        raise FormatError(f"refused: member {shown} is encrypted or packed in an unusual way")
    header = data[info.header_offset : info.header_offset + 30]
    if info.header_offset < 0 or len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise FormatError(f"the archive is truncated or damaged at {shown}")
    start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    if start + info.compress_size > len(data):
        raise FormatError(f"the archive is truncated at {shown}")
    return start, info.compress_size
