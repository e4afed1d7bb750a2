"""What checkpoints and frozen graphs of TensorFlow 1 have in common: floats, and which variables count."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.wire import content, fields, signed

log = logging.getLogger("zoo")

# Numbers of tensorflow/core/framework/types.proto; bfloat16 is the upper half of a float.
FLOATS = {1: "<f4", 2: "<f8", 14: "bfloat16", 19: "<f2"}
MAX_RANK = 8
_AVERAGE = "/ExponentialMovingAverage"


def shape_of(data: memoryview) -> tuple[int, ...]:
    """A ``TensorShapeProto``.

    Raises:
        FormatError: An unknown rank or side, or too many of them.
    """
    sides = []
    for number, value in fields(data):
        if number == 3 and value:
            raise FormatError("damaged: a tensor of an unknown rank")
        if number == 2:
            stated = [signed(size) for key, size in fields(content(value)) if key == 1]
            sides.append(stated[-1] if stated else 0)
        if len(sides) > MAX_RANK or min(sides, default=0) < 0:
            raise FormatError("damaged: a tensor of an impossible shape")
    return tuple(sides)


def item_size(kind: int) -> int:
    """Bytes of one number of a type of `FLOATS`."""
    return 2 if FLOATS[kind] == "bfloat16" else np.dtype(FLOATS[kind]).itemsize


def array_of(data: bytes | memoryview, kind: int, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values from the bytes of a tensor.

    Raises:
        FormatError: They are not as many as the shape says.
    """
    if len(data) != math.prod(shape) * item_size(kind):
        raise FormatError(f"damaged: {len(data):,} bytes for a tensor of the shape {shape}")
    if FLOATS[kind] == "bfloat16":
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, as anywhere
            values = np.frombuffer(data, FLOATS[kind]).astype(np.float32)
    return values.reshape(shape)


def counting(names: Iterable[str]) -> dict[str, str]:
    """Which variables are the network's: from the name of each to the one that holds its values.

    An optimizer's variables stand beneath those that they belong to, such as ``…/weights/Momentum``; numbers
    of the training, such as ``global_step``, in no scope. A moving average stands in for its variable.
    """
    known = set(names)
    own = [n for n in known if "/" in n and n.rpartition("/")[0] not in known]
    return {n: f"{n}{_AVERAGE}" if f"{n}{_AVERAGE}" in known else n for n in sorted(own)}


def tell_averages(chosen: Mapping[str, str], *, file: str) -> None:
    """One line, where moving averages stand in for variables."""
    averaged = sum(name != source for name, source in chosen.items())
    if averaged:
        log.warning(
            "%s: %d of its %d variables are their moving averages, as its authors evaluate it",
            file,
            averaged,
            len(chosen),
        )
