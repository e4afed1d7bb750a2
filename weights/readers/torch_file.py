"""Reads tensors from torch checkpoints without torch and without unpickling.

Both containers hold a pickle that describes tensors, and raw storages. `_Machine` interprets the
few pickle opcodes that such a description needs and yields plain dictionaries and tensor records.
There is no ``pickle.Unpickler``, no import and no call: a global is only ever a name on a short
list, so whatever else a file asks for is refused with that name.

Containers: the zip archive (torch >= 1.6) and the legacy stream of five pickles (magic number,
protocol, system, objects, storage keys) followed by the storages.
"""

import contextlib
import io
import math
import mmap
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import FormatError

WRAPPER_KEYS = ("state_dict", "model", "model_state_dict", "model_state", "net", "weights")

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_OPCODES = 2_000_000
_BFLOAT16 = "bfloat16"
_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_CALLABLE = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.device",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}
_ALLOWED = _CALLABLE | {f"torch.{name}" for name in _DTYPES}


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


# --- records and the pickle machine -------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Global:
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class _Storage:
    key: str
    dtype: str
    count: int

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == _BFLOAT16 else np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Bottom of the items that the next collecting opcode takes."""


_MARK = _Mark()
_CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}


class _Machine:
    """Interprets one pickle as data. Opcodes that it does not know are refused."""

    def __init__(self) -> None:
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self, stream) -> object:
        """The object of the pickle at the position of `stream`, which is left behind it.

        Raises:
            FormatError: The pickle is malformed, too long, or wants anything but data.
        """
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if count >= _MAX_OPCODES:
                    raise FormatError(f"the pickle has more than {_MAX_OPCODES} instructions")
                self.step(opcode.name, argument)
            (result,) = self.stack
        except FormatError:
            raise
        except (ValueError, TypeError, LookupError, OverflowError, struct.error) as error:
            raise FormatError(f"the pickle is truncated or damaged ({error})"[:200]) from error
        return result

    def step(self, name: str, argument) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        else:
            method = getattr(self, f"_op_{name.lower()}", None)
            if method is None:
                raise FormatError(f"refused: pickle instruction {name} is not needed for tensors")
            method(argument)

    def _since_mark(self) -> list:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise FormatError("the pickle is damaged (no mark)")

    def _op_proto(self, version) -> None:
        if version > 5:
            raise FormatError(f"pickle protocol {version} is unknown")

    def _op_frame(self, _) -> None:
        pass

    def _op_stop(self, _) -> None:
        pass

    def _op_pop(self, _) -> None:
        self.stack.pop()

    def _op_put(self, index) -> None:
        self.memo[index] = self.stack[-1]

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _op_get(self, index) -> None:
        self.stack.append(self.memo[index])

    _op_binget = _op_long_binget = _op_get

    def _op_tuple(self, _) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _op_tuple1(self, _) -> None:
        self._gather(1)

    def _op_tuple2(self, _) -> None:
        self._gather(2)

    def _op_tuple3(self, _) -> None:
        self._gather(3)

    def _gather(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def _op_list(self, _) -> None:
        self.stack.append(self._since_mark())

    def _op_append(self, _) -> None:
        item = self.stack.pop()
        _expect(self.stack[-1], list).append(item)

    def _op_appends(self, _) -> None:
        items = self._since_mark()
        _expect(self.stack[-1], list).extend(items)

    def _op_dict(self, _) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._set(items)

    def _op_setitem(self, _) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _op_setitems(self, _) -> None:
        self._set(self._since_mark())

    def _set(self, items: list) -> None:
        target = _expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_expect(key, str, int, float)] = value

    def _op_global(self, argument) -> None:
        self._push_global(argument.replace(" ", ".", 1))

    def _op_stack_global(self, _) -> None:
        name, module = _expect(self.stack.pop(), str), _expect(self.stack.pop(), str)
        self._push_global(f"{module}.{name}")

    def _push_global(self, name: str) -> None:
        if name not in _ALLOWED:
            raise FormatError(f"refused: the pickle wants {name[:120]!r}; a checkpoint is data only")
        self.stack.append(_Global(name))

    def _op_inst(self, argument) -> None:
        raise FormatError(f"refused: the pickle wants an instance of {argument[:120]!r}")

    def _op_binpersid(self, _) -> None:
        storage = _storage(self.stack.pop())
        first = self.storages.setdefault(storage.key, storage)
        if (first.dtype, first.count) != (storage.dtype, storage.count):
            raise FormatError(f"storage {storage.key[:40]!r} is described in two ways")
        self.stack.append(first)

    def _op_reduce(self, _) -> None:
        arguments, function = _expect(self.stack.pop(), tuple), self.stack.pop()
        self.stack.append(_rebuild(_expect(function, _Global).name, arguments))

    def _op_build(self, _) -> None:
        """State is dropped: the only one expected is ``_metadata`` of an OrderedDict."""
        _expect(self.stack.pop(), dict)
        _expect(self.stack[-1], dict)


def _expect(value, *types: type):
    if not isinstance(value, types):
        wanted = " or ".join(kind.__name__.strip("_") for kind in types)
        raise FormatError(f"the pickle has {type(value).__name__.strip('_')} in place of {wanted}")
    return value


def _is_count(value) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _storage(identity) -> _Storage:
    """Storage of ``("storage", type, key, location, count[, view])``."""
    fields = _expect(identity, tuple)
    if len(fields) not in (5, 6) or fields[0] != "storage":
        raise FormatError("the pickle refers to something that is not a storage")
    if len(fields) == 6 and fields[5] is not None:
        raise FormatError("views of storages are not supported")
    kind = _expect(fields[1], _Global).name.removeprefix("torch.")
    if kind not in _DTYPES or not isinstance(fields[2], str) or not _is_count(fields[4]):
        raise FormatError("the pickle describes a malformed storage")
    return _Storage(fields[2], _DTYPES[kind], fields[4])


def _rebuild(name: str, arguments: tuple) -> object:
    """What torch would build, as plain data."""
    if name == "collections.OrderedDict":
        return dict(_pairs(arguments[0])) if arguments else {}
    if name == "torch.Size":
        return tuple(_expect(arguments[0], tuple, list))
    if name == "torch.device":
        return ":".join(str(_expect(part, str, int)) for part in arguments)
    if name == "torch._utils._rebuild_parameter":
        return _expect(arguments[0], _Tensor)
    if name in _CALLABLE:
        return _tensor(*arguments[:4])
    raise FormatError(f"refused: the pickle calls {name!r}")


def _pairs(items) -> Iterator[tuple]:
    for pair in _expect(items, list, tuple):
        key, value = _expect(pair, list, tuple)
        yield _expect(key, str, int, float), value


def _tensor(storage, offset, shape, strides) -> _Tensor:
    _expect(storage, _Storage)
    shape, strides = tuple(_expect(shape, tuple)), tuple(_expect(strides, tuple))
    if len(shape) != len(strides) or len(shape) > 32:
        raise FormatError("a tensor has more strides than dimensions or too many of them")
    if not all(map(_is_count, (offset, *shape, *strides))):
        raise FormatError("a tensor has a negative or malformed offset, shape or stride")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if size > storage.count or (size and last >= storage.count):
        raise FormatError(f"a tensor of shape {shape} reaches outside its storage")
    return _Tensor(storage, offset, shape, strides)


# --- containers ---------------------------------------------------------------------------------

# Each returns the object, a map of storage key to (first byte, byte count), and the byte order.


def _read_legacy(data: mmap.mmap):
    if _Machine().run(data) != _MAGIC:
        raise FormatError("not a torch checkpoint (wrong magic number)")
    if _Machine().run(data) != _PROTOCOL:
        raise FormatError("unknown version of the legacy torch container")
    system = _expect(_Machine().run(data), dict)
    order = "<" if system.get("little_endian", True) else ">"
    machine = _Machine()
    root = machine.run(data)
    keys = _expect(_Machine().run(data), list)
    position, extents = data.tell(), {}
    for key in keys:
        if not isinstance(key, str) or key in extents or key not in machine.storages:
            raise FormatError("the list of storages does not match the tensors")
        extents[key] = _legacy_extent(data, position, machine.storages[key], order)
        position = sum(extents[key])
    return root, extents, order


def _legacy_extent(data: mmap.mmap, position: int, storage: _Storage, order: str):
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
    root = _Machine().run(io.BytesIO(_content(data, members[roots[0]])))
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


def _tensors(root) -> dict[str, _Tensor]:
    """The dictionary of tensors: the object itself or the one value under a wrapper key."""
    _expect(root, dict)
    wrapped = [root[key] for key in WRAPPER_KEYS if _is_state(root.get(key))]
    state = wrapped[0] if len(wrapped) == 1 else root
    if not _is_state(state):
        bad = next((key for key, value in state.items() if not isinstance(value, _Tensor)), None)
        what = "it is empty" if bad is None else f"{str(bad)[:80]!r} is not a tensor"
        keys = ", ".join(WRAPPER_KEYS)
        raise FormatError(f"no dictionary of tensors at the top ({what}) or under one of {keys}")
    return state


def _is_state(value) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(k, str) and isinstance(v, _Tensor) for k, v in value.items())


def _materialise(
    tensors: dict[str, _Tensor], data: mmap.mmap, extents: dict[str, tuple[int, int]], order: str
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


def _array(tensor: _Tensor, data: mmap.mmap, start: int, order: str) -> np.ndarray:
    storage, kind = tensor.storage, {_BFLOAT16: "u2", "?": "u1"}.get(tensor.storage.dtype)
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
    if storage.dtype == _BFLOAT16:  # the upper half of a float32
        return np.asarray(array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(array != 0) if storage.dtype == "?" else array
