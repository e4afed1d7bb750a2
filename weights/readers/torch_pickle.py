"""The pickles in torch checkpoints, read as data.

`PickleMachine` interprets the few opcodes that a description of tensors needs and yields plain dictionaries
and tensor records. There is no ``pickle.Unpickler``, no import and no call: a global is only ever a name on
a short list, so whatever else a file asks for is refused with that name.
"""

import math
import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo.errors import FormatError

_MAX_OPCODES = 2_000_000
BFLOAT16 = "bfloat16"
_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
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


@dataclass(frozen=True, eq=False, slots=True)
class _Global:
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """A run of numbers in the file: its name there, the type of NumPy or `BFLOAT16`, and how many."""

    key: str
    dtype: str
    count: int

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
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


class PickleMachine:
    """Interprets one pickle as data. Opcodes that it does not know are refused."""

    def __init__(self) -> None:
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}

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
        expect(self.stack[-1], list).append(item)

    def _op_appends(self, _) -> None:
        items = self._since_mark()
        expect(self.stack[-1], list).extend(items)

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
        target = expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[expect(key, str, int, float)] = value

    def _op_global(self, argument) -> None:
        self._push_global(argument.replace(" ", ".", 1))

    def _op_stack_global(self, _) -> None:
        name, module = expect(self.stack.pop(), str), expect(self.stack.pop(), str)
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
        arguments, function = expect(self.stack.pop(), tuple), self.stack.pop()
        self.stack.append(_rebuild(expect(function, _Global).name, arguments))

    def _op_build(self, _) -> None:
        """State is dropped: the only one expected is ``_metadata`` of an OrderedDict."""
        expect(self.stack.pop(), dict)
        expect(self.stack[-1], dict)


def expect(value, *types: type):
    """The value, if it has one of the types; `FormatError` otherwise."""
    if not isinstance(value, types):
        wanted = " or ".join(kind.__name__.strip("_") for kind in types)
        raise FormatError(f"the pickle has {type(value).__name__.strip('_')} in place of {wanted}")
    return value


def _is_count(value) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _storage(identity) -> Storage:
    """Storage of ``("storage", type, key, location, count[, view])``."""
    fields = expect(identity, tuple)
    if len(fields) not in (5, 6) or fields[0] != "storage":
        raise FormatError("the pickle refers to something that is not a storage")
    if len(fields) == 6 and fields[5] is not None:
        raise FormatError("views of storages are not supported")
    kind = expect(fields[1], _Global).name.removeprefix("torch.")
    if kind not in _DTYPES or not isinstance(fields[2], str) or not _is_count(fields[4]):
        raise FormatError("the pickle describes a malformed storage")
    return Storage(fields[2], _DTYPES[kind], fields[4])


def _rebuild(name: str, arguments: tuple) -> object:
    """What torch would build, as plain data."""
    if name == "collections.OrderedDict":
        return dict(_pairs(arguments[0])) if arguments else {}
    if name == "torch.Size":
        return tuple(expect(arguments[0], tuple, list))
    if name == "torch.device":
        return ":".join(str(expect(part, str, int)) for part in arguments)
    if name == "torch._utils._rebuild_parameter":
        return expect(arguments[0], Tensor)
    if name in _CALLABLE:
        return _tensor(*arguments[:4])
    raise FormatError(f"refused: the pickle calls {name!r}")


def _pairs(items) -> Iterator[tuple]:
    for pair in expect(items, list, tuple):
        key, value = expect(pair, list, tuple)
        yield expect(key, str, int, float), value


def _tensor(storage, offset, shape, strides) -> Tensor:
    expect(storage, Storage)
    shape, strides = tuple(expect(shape, tuple)), tuple(expect(strides, tuple))
    if len(shape) != len(strides) or len(shape) > 32:
        raise FormatError("a tensor has more strides than dimensions or too many of them")
    if not all(map(_is_count, (offset, *shape, *strides))):
        raise FormatError("a tensor has a negative or malformed offset, shape or stride")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if size > storage.count or (size and last >= storage.count):
        raise FormatError(f"a tensor of shape {shape} reaches outside its storage")
    return Tensor(storage, offset, shape, strides)
