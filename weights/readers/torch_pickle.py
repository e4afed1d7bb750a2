"""The pickles in torch checkpoints, read as data.

`PickleMachine` interprets pickle instructions and yields plain values, tensor records and placeholders. There
is no ``pickle.Unpickler``, no import and no call: a global is only ever a name. `torch_rebuild` knows the few
names that describe tensors; every other one, and whatever would be made of it, is a `Placeholder`.
"""

from __future__ import annotations

import pickletools
import struct

from zoo.errors import FormatError
from zoo.weights.readers.torch_objects import DTYPES, Placeholder, Storage, key_of
from zoo.weights.readers.torch_rebuild import construct, expect, is_count

_MAX_OPCODES = 2_000_000
# Names that only a file has which wants to run something. They would be placeholders like all others, but the
# person who got such a file should know.
_ATTACKS = {
    *("os", "posix", "nt", "subprocess", "pty", "socket", "runpy", "ctypes", "webbrowser"),
    *(f"builtins.{name}" for name in ("eval", "exec", "execfile", "compile", "open", "__import__", "input")),
    *("builtins.breakpoint", "shutil.rmtree", "shutil.move", "importlib.import_module", "sys.modules"),
    *("torch.hub", "torch.utils.cpp_extension", "pip", "timeit.timeit", "code.interact", "pickle.loads"),
}


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
    # Sets as lists: what is in them needs no hash.
    "EMPTY_SET": list,
    "MARK": lambda: _MARK,
}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}


class PickleMachine:
    """Interprets one pickle as data. Instructions that no checkpoint needs are refused.

    Args:
        size: Bytes of the file: how much may be copied for what the pickle says depends on it.
        nested: Reads a torch file within the pickle, as ``pickle.dump`` of a tensor writes it.
    """

    def __init__(self, *, size: int = 0, nested=None) -> None:
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}
        self.room = _MAX_OPCODES + 4 * size
        self.nested = nested

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

    # --- the stack and the memo -------------------------------------------------------------------

    def _op_proto(self, version) -> None:
        if version > 5:
            raise FormatError(f"pickle protocol {version} is unknown")

    def _op_frame(self, _) -> None:
        pass

    def _op_stop(self, _) -> None:
        pass

    def _op_pop(self, _) -> None:
        self.stack.pop()

    def _op_pop_mark(self, _) -> None:
        self._since_mark()

    def _op_dup(self, _) -> None:
        self.stack.append(self.stack[-1])

    def _op_put(self, index) -> None:
        self.memo[index] = self.stack[-1]

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _op_get(self, index) -> None:
        self.stack.append(self.memo[index])

    _op_binget = _op_long_binget = _op_get

    # --- collections ------------------------------------------------------------------------------

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

    _op_frozenset = _op_list

    def _op_append(self, _) -> None:
        item = self.stack.pop()
        self._elements().append(item)

    def _op_appends(self, _) -> None:
        items = self._since_mark()
        self._elements().extend(items)

    _op_additems = _op_appends

    def _elements(self) -> list:
        target = expect(self.stack[-1], list, Placeholder)
        return target.elements if isinstance(target, Placeholder) else target

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
        target = expect(self.stack[-1], dict, Placeholder)
        target = target.items if isinstance(target, Placeholder) else target
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key_of(key)] = value

    # --- globals and objects ----------------------------------------------------------------------

    def _op_global(self, argument) -> None:
        self._push_global(argument.replace(" ", ".", 1))

    def _op_stack_global(self, _) -> None:
        name, module = expect(self.stack.pop(), str), expect(self.stack.pop(), str)
        self._push_global(f"{module}.{name}")

    def _push_global(self, name: str) -> None:
        # Python 2 had other names for two modules that many pickles need.
        name = name.replace("__builtin__.", "builtins.", 1).replace("copy_reg.", "copyreg.", 1)
        parts = name.split(".")
        starts = {".".join(parts[: count + 1]) for count in range(min(len(parts), 4))}
        if starts & _ATTACKS or {"os", "posix", "subprocess"} & set(parts):
            raise FormatError(f"refused: the pickle wants {name[:120]!r}; a checkpoint is data only")
        self.stack.append(Placeholder(name))

    def _op_inst(self, argument) -> None:
        arguments = tuple(self._since_mark())
        self._op_global(argument)
        self._construct(self.stack.pop(), arguments)

    def _op_obj(self, _) -> None:
        function, *arguments = self._since_mark()
        self._construct(function, tuple(arguments))

    def _op_newobj(self, _) -> None:
        arguments, function = expect(self.stack.pop(), tuple), self.stack.pop()
        self._construct(function, arguments)

    _op_reduce = _op_newobj

    def _op_newobj_ex(self, _) -> None:
        named, arguments = expect(self.stack.pop(), dict), expect(self.stack.pop(), tuple)
        self._construct(self.stack.pop(), (*arguments, named))

    def _construct(self, function: object, arguments: tuple) -> None:
        """What calling `function` would give, as plain data or as a placeholder."""
        expect(function, Placeholder)
        # The same long list, named once and used a thousand times, must not be copied a thousand times.
        self.room -= sum(len(a) for a in arguments if isinstance(a, (str, bytes, list, tuple, dict)))
        if self.room < 0:
            raise FormatError("refused: the pickle copies much more than is in the file")
        if function.name == "torch.storage._load_from_bytes" and self.nested is not None:
            self.stack.append(self.nested(expect(arguments[0], bytes, bytearray, str)))
        elif function.is_object:
            self.stack.append(Placeholder(function.name, True, arguments))
        else:
            self.stack.append(construct(function.name, arguments))

    def _op_build(self, _) -> None:
        """The state of an object. That of a dictionary is dropped: ``_metadata`` says nothing of tensors."""
        state = self.stack.pop()
        target = expect(self.stack[-1], dict, Placeholder)
        if isinstance(target, Placeholder):
            target.state = state

    def _op_binpersid(self, _) -> None:
        identity = expect(self.stack.pop(), tuple)
        if len(identity) == 4 and identity[0] == "module" and isinstance(identity[1], Placeholder):
            self.stack.append(identity[1])  # a class, with its source, which is not needed
            return
        storage = _storage(identity)
        first = self.storages.setdefault(storage.key, storage)
        if (first.dtype, first.count) != (storage.dtype, storage.count):
            raise FormatError(f"storage {storage.key[:40]!r} is described in two ways")
        self.stack.append(first)


def _storage(fields: tuple) -> Storage:
    """Storage of ``("storage", type, key, location, count[, view])``."""
    if len(fields) not in (5, 6) or fields[0] != "storage":
        raise FormatError("the pickle refers to something that is not a storage")
    if len(fields) == 6 and fields[5] is not None:
        raise FormatError("views of storages are not supported")
    kind = expect(fields[1], Placeholder).name.rpartition(".")[2]
    if not isinstance(fields[2], str) or not is_count(fields[4]):
        raise FormatError("the pickle describes a malformed storage")
    if kind not in DTYPES or not kind.endswith("Storage"):
        raise FormatError(f"tensors in a {kind[:40]} are not read")
    return Storage(fields[2], DTYPES[kind], fields[4])
