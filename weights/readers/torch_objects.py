"""What a torch pickle is read into: plain values, tensors, and placeholders for everything else."""

from __future__ import annotations

from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

BFLOAT16 = ml_dtypes.bfloat16
# By the names of torch's types, which are also those of storages without their ending: torch.float16 has a
# HalfStorage. What is not here has no numbers that a network could use (torch.bits8, torch.float4_e2m1fn_x2).
DTYPES: dict[str, np.dtype] = {
    name: np.dtype(kind)
    for names, kind in (
        (("float64", "double", "DoubleStorage"), "f8"),
        (("float32", "float", "FloatStorage"), "f4"),
        (("float16", "half", "HalfStorage"), "f2"),
        (("bfloat16", "BFloat16Storage"), BFLOAT16),
        (("int64", "long", "LongStorage"), "i8"),
        (("int32", "int", "IntStorage"), "i4"),
        (("int16", "short", "ShortStorage"), "i2"),
        (("int8", "CharStorage"), "i1"),
        (("uint8", "ByteStorage", "UntypedStorage"), "u1"),
        (("uint16",), "u2"),
        (("uint32",), "u4"),
        (("uint64",), "u8"),
        (("bool", "BoolStorage"), "?"),
        (("complex64", "ComplexFloatStorage"), "c8"),
        (("complex128", "ComplexDoubleStorage"), "c16"),
        (("qint8", "QInt8Storage"), "i1"),
        (("quint8", "QUInt8Storage"), "u1"),
        (("qint32", "QInt32Storage"), "i4"),
        (("float8_e4m3fn",), ml_dtypes.float8_e4m3fn),
        (("float8_e4m3fnuz",), ml_dtypes.float8_e4m3fnuz),
        (("float8_e5m2",), ml_dtypes.float8_e5m2),
        (("float8_e5m2fnuz",), ml_dtypes.float8_e5m2fnuz),
        (("float8_e8m0fnu",), ml_dtypes.float8_e8m0fnu),
    )
    for name in names
}


@dataclass(eq=False, slots=True)
class Placeholder:
    """Stands for a global, or for an object that one of them would make: never imported, never called.

    Attributes:
        name: Of the global, such as ``argparse.Namespace``.
        is_object: Whether it stands for an object of that class rather than for the name itself.
        arguments: What the object would have been made of.
        state: What it would have been given afterwards, its attributes as a rule.
        items: What would have been set in it by key, as in a dictionary.
        elements: What would have been appended to it, as to a list.
    """

    name: str
    is_object: bool = False
    arguments: tuple = ()
    state: object = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)

    @property
    def attributes(self) -> dict:
        """The state as a dictionary; that of a class with slots is a pair."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        found = {}
        for part in parts[:2]:
            if isinstance(part, dict):
                found.update(part)
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """A run of numbers: its key in the file, or the bytes themselves; its type, and how many there are."""

    key: str
    dtype: np.dtype
    count: int
    content: bytes | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A view of a storage; offset and strides count numbers of `dtype`, not bytes.

    Attributes:
        storage: Where the numbers are.
        offset: Of the first one.
        shape: Extents.
        strides: As many.
        dtype: Of the numbers; the storage's own, or what bytes without a type are read as.
        is_negated: Whether torch only noted that all signs are turned.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    is_negated: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Quantized:
    """Integers that stand for ``(integer − zero point) · scale``, per tensor or along an axis."""

    values: Tensor
    scale: float | Tensor
    zero_point: int | float | Tensor
    axis: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Sparse:
    """A tensor of which only some entries are stored.

    `layout` is ``"coo"``, with one tensor of indices (dimensions, entries), or ``"csr"`` or ``"csc"``, with
    one where each row or column begins and one with the places in it.
    """

    layout: str
    indices: tuple[Tensor, ...]
    values: Tensor
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Unreadable:
    """A tensor whose numbers are not in the file, or in a form that is not read; `reason` says why."""

    reason: str


TENSORS = (Tensor, Quantized, Sparse, Unreadable, np.ndarray)
"""What counts as a tensor."""


def key_of(value: object) -> object:
    """`value` as the key of a dictionary: what is not plain is its own key, whatever it holds.

    Hashing a tuple of tuples of tuples … would end the process, not raise.
    """
    return value if isinstance(value, (str, bytes, int, float, complex, type(None))) else _Key(value)


@dataclass(frozen=True, eq=False, slots=True)
class _Key:
    value: object
