"""Writes files as torch does, without torch."""

import io
import pickle
import struct
import zipfile

KINDS = {
    "f8": "DoubleStorage",
    "f4": "FloatStorage",
    "f2": "HalfStorage",
    "bf16": "BFloat16Storage",
    "i8": "LongStorage",
    "i4": "IntStorage",
    "i2": "ShortStorage",
    "i1": "CharStorage",
    "u1": "ByteStorage",
    "b1": "BoolStorage",
}


class Name:
    """A global that only has a name; pickled as that name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


ORDERED = Name("collections", "OrderedDict")


class Storage:
    def __init__(self, key, kind, data):
        self.key, self.kind, self.data = key, kind, data
        self.count = len(data) // int(kind[1:] if kind != "bf16" else 2)


class Call:
    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state


class Raw:
    """Instructions of a pickle that leave one value."""

    def __init__(self, content):
        self.content = content


class Writer(pickle._Pickler):
    """Writes `Name`, `Call` and `Storage` as torch writes globals, calls and storages."""

    def persistent_id(self, value):
        if isinstance(value, Storage):
            kind = Name("torch", KINDS[value.kind])
            tail = (None,) if self.legacy else ()
            return ("storage", kind, value.key, "cpu", value.count, *tail)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Name):
            self.save_name(value)
        elif isinstance(value, Raw):
            self.write(value.content)
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
            if value.state is not None:
                self.save(value.state)
                self.write(pickle.BUILD)
        else:
            super().save(value, save_persistent_id)

    def save_name(self, value):
        if self.proto >= 4:
            self.save(value.module)
            self.save(value.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())


def pickled(value, *, protocol=2, legacy=False):
    stream = io.BytesIO()
    writer = Writer(stream, protocol)
    writer.legacy = legacy
    writer.dump(value)
    return stream.getvalue()


def tensor(storage, offset, shape, strides):
    hooks = Call(Name("collections", "OrderedDict"))
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), storage, offset, shape, strides, False, hooks)


def contiguous(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return tuple(strides)


def simple(key, array):
    storage = Storage(key, array.dtype.str[1:], array.tobytes())
    return tensor(storage, 0, array.shape, contiguous(array.shape)), storage


def write_zip(path, root, storages, *, protocol=2, order=b"little", extra=(), **options):
    data = root if isinstance(root, bytes) else pickled(root, protocol=protocol)
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", data)
        if order:
            archive.writestr("archive/byteorder", order)
        for storage in storages:
            archive.writestr(f"archive/data/{storage.key}", storage.data)
        for name, content in extra:
            archive.writestr(name, content)
        archive.writestr("archive/version", b"3\n")
    return path


def write_legacy(path, root, storages, *, protocol=2, little=True, counts=None):
    data = root if isinstance(root, bytes) else pickled(root, protocol=protocol, legacy=True)
    system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
    parts = [pickled(value) for value in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [data, pickled([storage.key for storage in storages])]
    for storage in storages:
        count = (counts or {}).get(storage.key, storage.count)
        parts += [struct.pack("<q" if little else ">q", count), storage.data]
    path.write_bytes(b"".join(parts))
    return path


def save_state(path, arrays):
    """A state dictionary of arrays by name, as ``torch.save`` writes it."""
    pairs = {name: simple(str(index), array) for index, (name, array) in enumerate(arrays.items())}
    root = {name: value for name, (value, _) in pairs.items()}
    return write_zip(path, root, [storage for _, storage in pairs.values()])
