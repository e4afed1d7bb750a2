"""Values of a program under construction: maps stand channels first in Core ML, and last in TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.export.coreml.tools import Builder as mb

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
# Where an axis of a map in TensorFlow's order stands with channels first.
AXIS = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor.

    Attributes:
        variable: Of the program.
        first: Whether it is a map of rank 4 that stands channels first.
    """

    variable: Any
    first: bool = False


Inputs = list[Value | np.ndarray]


def maps_first(value: Value) -> Any:
    """The variable of a map, channels first."""
    if value.first or value.variable.rank != len(TO_FIRST):
        return value.variable
    return mb.transpose(x=value.variable, perm=TO_FIRST)


def maps_last(value: Value) -> Any:
    """The variable as TensorFlow orders its axes."""
    return mb.transpose(x=value.variable, perm=TO_LAST) if value.first else value.variable


def constant_first(array: np.ndarray) -> np.ndarray:
    """A constant that is broadcast against a map, channels first; a scalar stays one."""
    if array.size == 1:
        return array.reshape(())
    return array.reshape((1,) * (len(TO_FIRST) - array.ndim) + array.shape).transpose(TO_FIRST)


def as_computed(array: np.ndarray) -> np.ndarray:
    """A constant in a type that Core ML has."""
    kind = array.dtype.kind
    return np.asarray(array, {"f": np.float32, "i": np.int32, "u": np.int32, "b": np.bool_}[kind])


def of_constant(array: np.ndarray, name: str) -> Value:
    """A constant as a value of its own."""
    return Value(mb.const(val=as_computed(array), name=name))


def same_padding(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], rates: Sequence[int]
) -> list[int]:
    """Before and behind rows and columns, as TensorFlow's SAME pads."""
    padding = []
    for size, taps, stride, rate in zip(sizes, kernel, strides, rates, strict=True):
        total = max((-(-size // stride) - 1) * stride + (taps - 1) * rate + 1 - size, 0)
        padding += [total // 2, total - total // 2]
    return padding
