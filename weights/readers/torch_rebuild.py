"""The fixed list of what torch pickles call to make tensors, and what stands for the result here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.torch_objects import (
    DTYPES,
    TENSORS,
    Placeholder,
    Quantized,
    Sparse,
    Storage,
    Tensor,
    Unreadable,
    key_of,
)


def expect(value, *types: type):
    """The value, if it has one of the types; `FormatError` otherwise."""
    if not isinstance(value, types):
        wanted = " or ".join(kind.__name__.strip("_") for kind in types)
        raise FormatError(f"the pickle has {type(value).__name__.strip('_')} in place of {wanted}")
    return value


def is_count(value) -> bool:
    """Whether a value is a whole number that can count anything."""
    return type(value) is int and 0 <= value < 1 << 62


def construct(name: str, arguments: tuple) -> object:
    """What calling a global would give: a tensor or plain data if it is on the list, else a placeholder.

    Raises:
        FormatError: Arguments from which torch could make no tensor either.
    """
    if name in _BUILDERS:
        return _BUILDERS[name](*arguments)
    if name in _ALLOCATORS:  # they make an object of the class that is their first argument
        kind = arguments[0] if arguments else None
        if isinstance(kind, Placeholder):
            return Placeholder(kind.name, True, arguments[1:])
    return Placeholder(name, True, arguments)


def _ordered(items=(), *_) -> dict:
    if isinstance(items, dict):
        return dict(items)
    return dict(_pairs(items))


def _pairs(items) -> Iterator[tuple]:
    for pair in expect(items, list, tuple):
        key, value = expect(pair, list, tuple)
        yield key_of(key), value


def _size(items=(), *_) -> tuple:
    return tuple(expect(items, tuple, list))


def _device(*parts) -> str:
    return ":".join(str(expect(part, str, int)) for part in parts)


def _encoded(text="", encoding="latin1") -> bytes:
    """How protocol 2 writes bytes."""
    return expect(text, str).encode("latin1" if encoding in ("latin1", "latin-1") else "ascii")


# --- tensors ------------------------------------------------------------------------------------


def _shape(sizes) -> tuple[int, ...]:
    shape = tuple(expect(sizes, tuple, list))
    if len(shape) > 32 or not all(map(is_count, shape)):
        raise FormatError("a tensor has a negative or malformed shape, or too many dimensions")
    return shape


def _tensor(storage, offset, sizes, strides, *, dtype=None, metadata=None) -> Tensor:
    expect(storage, Storage)
    dtype = dtype or storage.dtype
    count = storage.count * storage.dtype.itemsize // dtype.itemsize
    shape, strides = _shape(sizes), tuple(expect(strides, tuple, list))
    if len(shape) != len(strides):
        raise FormatError("a tensor has more strides than dimensions or fewer")
    if not all(map(is_count, (offset, *strides))):
        raise FormatError("a tensor has a negative or malformed offset or stride")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # Along an axis of stride 0 a number is repeated, as `expand` does; what that makes is bounded later.
    stored = math.prod(n for n, step in zip(shape, strides, strict=True) if step or not n)
    if stored > count or (size and last >= count):
        raise FormatError(f"a tensor of shape {shape} reaches outside its storage")
    notes = metadata if isinstance(metadata, dict) else {}
    if notes.get("conj"):
        return Unreadable("is complex")
    return Tensor(storage, offset, shape, strides, dtype, notes.get("neg") is True)


def _tensor_v2(storage, offset, sizes, strides, _grad=None, _hooks=None, metadata=None, *_) -> Tensor:
    return _tensor(storage, offset, sizes, strides, metadata=metadata)


def _tensor_v3(storage, offset, sizes, strides, _grad, _hooks, dtype, metadata=None, *_):
    name = expect(dtype, Placeholder).name.removeprefix("torch.")
    if name not in DTYPES:
        return Unreadable(f"is of the type {name[:40]}, which is not read")
    return _tensor(storage, offset, sizes, strides, dtype=DTYPES[name], metadata=metadata)


def _parameter(data, *_):
    return expect(data, *TENSORS)


def _from_type(function, _kind, arguments, *_) -> object:
    """A tensor with attributes, or of a class that is derived from torch's."""
    name = expect(function, Placeholder).name
    made = construct(name, expect(arguments, tuple))
    return made if isinstance(made, TENSORS) else Unreadable(f"is made by {name[:80]}, which is not read")


def _quantized(storage, offset, sizes, strides, parameters, *_) -> Quantized:
    values = _tensor(storage, offset, sizes, strides)
    kind, scale, zero_point, *axis = expect(parameters, tuple)
    if expect(kind, Placeholder).name == "torch.per_tensor_affine":
        return Quantized(values, float(expect(scale, float, int)), expect(zero_point, int))
    (axis,) = axis
    expect(scale, Tensor), expect(zero_point, Tensor)
    if not is_count(axis) or axis >= len(values.shape):
        raise FormatError("a quantized tensor has no axis of that number")
    extent = (values.shape[axis],)
    if scale.shape != extent or zero_point.shape != extent:
        raise FormatError("a quantized tensor has not one scale for each channel")
    return Quantized(values, scale, zero_point, axis)


def _layout(name="", *_) -> str:
    return expect(name, str)


def _sparse(layout, data, *_):
    name = str(layout).rpartition("_")[2] if isinstance(layout, str) else ""
    *indices, values, sizes = expect(data, tuple)[: 3 if name == "coo" else 4]
    if name not in ("coo", "csr", "csc"):
        return Unreadable(f"is sparse in the layout {str(layout)[:40]!r}, which is not read")
    for part in (*indices, values):
        expect(part, Tensor)
    return Sparse(name, tuple(indices), values, _shape(sizes))


def _no_data(*_) -> Unreadable:
    return Unreadable("is on the meta device, without numbers; save the state_dict of a model on a real one")


def _on_device(data, *_):
    return data if isinstance(data, (*TENSORS, Placeholder)) else Unreadable("is of a device of its own")


def _nested(*_) -> Unreadable:
    return Unreadable("is a nested tensor")


_TORCH = "torch._utils._rebuild_"
_BUILDERS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.serialization._get_layout": _layout,
    "_codecs.encode": _encoded,
    # Sets as lists: what is in them needs no hash.
    "builtins.set": lambda items=(), *_: list(expect(items, list, tuple)),
    "builtins.frozenset": lambda items=(), *_: list(expect(items, list, tuple)),
    f"{_TORCH}tensor": lambda storage, offset, sizes, strides, *_: _tensor(storage, offset, sizes, strides),
    f"{_TORCH}tensor_v2": _tensor_v2,
    f"{_TORCH}tensor_v3": _tensor_v3,
    f"{_TORCH}parameter": _parameter,
    f"{_TORCH}parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._tensor._rebuild_from_type": _from_type,
    f"{_TORCH}qtensor": _quantized,
    f"{_TORCH}sparse_tensor": _sparse,
    f"{_TORCH}nested_tensor": _nested,
    f"{_TORCH}meta_tensor_no_storage": _no_data,
    f"{_TORCH}device_tensor_from_numpy": _on_device,
    f"{_TORCH}device_tensor_from_cpu_tensor": _on_device,
    f"{_TORCH}wrapper_subclass": lambda *_: Unreadable("is of a class that holds other tensors"),
    "fastai.torch_core._fa_rebuild_tensor": lambda _kind, *rest: _tensor_v2(*rest),
}
_ALLOCATORS = {"copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__"}


# --- NumPy --------------------------------------------------------------------------------------

_ARRAYS = {f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")}
_BUFFERS = {f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")}


def as_tensor(value: object) -> object:
    """`value` if it is a tensor, the array if it is the placeholder of one of plain numbers, else `None`."""
    if isinstance(value, TENSORS):
        return value
    if not isinstance(value, Placeholder) or not value.is_object:
        return None
    if value.name in _ARRAYS and isinstance(value.state, tuple) and len(value.state) == 5:
        _, sizes, kind, is_fortran, content = value.state
    elif value.name in _BUFFERS and len(value.arguments) == 4:
        content, kind, sizes, order = value.arguments
        is_fortran = order == "F"
    else:
        return None
    return _array(sizes, _dtype(kind), content, is_fortran=bool(is_fortran))


def _dtype(kind: object) -> np.dtype | None:
    """The type that ``numpy.dtype("f4", …)`` with the state ``(3, "<", …)`` stands for."""
    if not isinstance(kind, Placeholder) or kind.name != "numpy.dtype" or not kind.arguments:
        return None
    name, state = kind.arguments[0], kind.state
    name = name.decode("latin1") if isinstance(name, bytes) else name
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    if name not in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1", "c8", "c16"):
        return None
    return np.dtype(name).newbyteorder(order if order in ("<", ">") else "=")


def _array(sizes: object, dtype: np.dtype | None, content: object, *, is_fortran: bool) -> np.ndarray | None:
    content = content.encode("latin1", "replace") if isinstance(content, str) else content
    if dtype is None or not isinstance(content, (bytes, bytearray)) or not isinstance(sizes, tuple):
        return None
    shape = _shape(sizes)
    if math.prod(shape) * dtype.itemsize != len(content):
        raise FormatError(f"an array of shape {shape} has {len(content):,} bytes")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    return array.astype(dtype.newbyteorder("="))
