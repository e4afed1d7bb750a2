"""Numbers out of a torch file: each tensor as an array of its own, within what the file can hold."""

from __future__ import annotations

import math

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.archive import allowed_bytes
from zoo.weights.readers.torch_containers import Contents
from zoo.weights.readers.torch_objects import Quantized, Sparse, Tensor, Unreadable

# Types of few bits, which are exact in 32: whatever comes later need not know them.
_SMALL_FLOATS = ("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
_SMALL_FLOATS += ("float8_e8m0fnu",)


class Arrays:
    """Makes the arrays of one file; equal views of one storage share one array.

    Peak memory is what was asked for besides the page cache of the file.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._made: dict[object, np.ndarray] = {}
        # Keeps what stands in `_made` by its identity.
        self._kept: list[object] = []
        self._room = 2 * (len(contents.data) + sum(map(len, contents.unpacked.values())))
        self._dense_room = allowed_bytes(len(contents.data))

    def of(self, name: str, record: object) -> np.ndarray:
        """The array of a tensor record; contiguous, writable and in the host's byte order.

        Types of 8 bits and bfloat16 become float32, which is exact; quantized tensors and sparse ones become
        what they stand for.

        Raises:
            FormatError: The tensor has no numbers in the file, or more than the file could hold.
        """
        if isinstance(record, Unreadable):
            raise FormatError(f"tensor {name[:80]!r} {record.reason}")
        if isinstance(record, Tensor):
            identity = (id(record.storage), record.offset, record.shape, record.strides, record.dtype.name)
            identity = (*identity, record.is_negated)
        else:
            identity = id(record)
        if identity not in self._made:
            self._kept.append(record)
            self._made[identity] = self._make(name, record)
        if self._made[identity].dtype.kind == "c":
            raise FormatError(f"tensor {name[:80]!r} is complex; weights are real numbers")
        return self._made[identity]

    def _make(self, name: str, record: object) -> np.ndarray:
        if isinstance(record, Tensor):
            return self._view(name, record)
        if isinstance(record, Quantized):
            return self._dequantized(name, record)
        if isinstance(record, Sparse):
            return self._dense(name, record)
        return record  # an array of NumPy's, which the pickle itself holds

    def _view(self, name: str, tensor: Tensor) -> np.ndarray:
        storage, dtype = tensor.storage, tensor.dtype
        start, size = self._contents.place(storage)
        if storage.count * storage.dtype.itemsize > size:
            raise FormatError(f"the storage of {name[:80]!r} is missing or too short")
        self._room -= math.prod(tensor.shape) * dtype.itemsize
        if self._room < 0:
            raise FormatError("refused: the tensors are much larger than the file")
        is_small = dtype.name in _SMALL_FLOATS
        raw = np.dtype(f"u{dtype.itemsize}") if is_small or dtype.char == "?" else dtype
        count = storage.count * storage.dtype.itemsize // raw.itemsize
        flat = np.empty(0, raw)
        if count:
            kind = raw.newbyteorder(self._contents.order)
            flat = np.frombuffer(self._contents.content(storage), kind, count, start)[tensor.offset :]
        steps = [
            step * raw.itemsize if extent > 1 else 0
            for extent, step in zip(tensor.shape, tensor.strides, strict=True)
        ]
        try:
            view = np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)
        except ValueError as error:
            raise FormatError(f"a tensor has an impossible shape {tensor.shape}") from error
        array = view.astype(raw.newbyteorder("="), order="C")
        if is_small:
            array = array.view(dtype).astype(np.float32)
        if dtype.char == "?":
            array = np.asarray(array != 0)
        return np.negative(array) if tensor.is_negated else array

    def _dequantized(self, name: str, record: Quantized) -> np.ndarray:
        values = self._view(name, record.values).astype(np.float32)
        if record.axis is None:
            scale, zero_point = record.scale, record.zero_point
        else:
            along = [1] * values.ndim
            along[record.axis] = -1
            scale = self._view(name, record.scale).reshape(along)
            zero_point = self._view(name, record.zero_point).reshape(along)
        return np.asarray((values - zero_point) * scale, np.float32)

    def _dense(self, name: str, record: Sparse) -> np.ndarray:
        """Entries of the same place are summed, as torch's ``to_dense`` does."""
        values = self._view(name, record.values)
        indices = [self._view(name, part) for part in record.indices]
        size = math.prod(record.shape) * values.dtype.itemsize
        self._dense_room -= size
        if self._dense_room < 0:
            raise FormatError(f"refused: sparse tensor {name[:80]!r} would have {size:,} bytes")
        places = _places(name, record, indices)
        sparse_dims, count = places.shape
        whole = places.dtype.kind in "iu" and sparse_dims <= len(record.shape)
        if not whole or values.shape != (count, *record.shape[sparse_dims:]):
            raise FormatError(f"sparse tensor {name[:80]!r} contradicts itself")
        limits = np.reshape(record.shape[:sparse_dims], (-1, 1))
        if count and ((places < 0).any() or (places >= limits).any()):
            raise FormatError(f"sparse tensor {name[:80]!r} has an entry outside its shape")
        dense = np.zeros(record.shape, values.dtype)
        np.add.at(dense, tuple(places), values)
        return dense


def _places(name: str, record: Sparse, indices: list[np.ndarray]) -> np.ndarray:
    """Indices of the entries, (dimensions, entries)."""
    if record.layout == "coo":
        (places,) = indices
        if places.ndim != 2:
            raise FormatError(f"sparse tensor {name[:80]!r} contradicts itself")
        return places
    starts, inner = indices
    counts = np.diff(starts)
    whole = starts.ndim == inner.ndim == 1 and len(record.shape) == 2 and len(starts)
    if not whole or starts[0] != 0 or (counts < 0).any() or counts.sum() != len(inner):
        raise FormatError(f"sparse tensor {name[:80]!r} contradicts itself")
    outer = np.repeat(np.arange(len(counts)), counts)
    return np.stack([outer, inner] if record.layout == "csr" else [inner, outer])
