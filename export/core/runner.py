"""Runs a model file again and again, with nothing but its runtime, for `zoo.export.bench`.

Unlike an `Artifact` this takes files of anybody, and converts no input while the clock runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.export.core.operation_times import OperationTable

_COLOURS = 3


class Runner:
    """A loaded model.

    Attributes:
        format: Its name in `zoo.export.formats`.
        size: (height, width) that it takes, or `None` for any.
    """

    format: str
    size: tuple[int, int] | None

    def __init__(self, path: Path, *, threads: int):
        """Load a file or folder; raises an `InputError` for an input that is no RGB image."""
        raise NotImplementedError

    @classmethod
    def import_runtime(cls, *, threads: int) -> None:
        """Import what runs it, so that its memory can be told from the model's."""
        raise NotImplementedError

    @classmethod
    def operation_times(cls, path: Path, *, size: tuple[int, int], threads: int) -> OperationTable:
        """How long operations take on an image of `size` (height, width)."""
        return OperationTable(method="not available: the runtime times no operations")

    def prepare(self, size: tuple[int, int]) -> None:
        """Make an input of that size: one image of random pixels."""
        raise NotImplementedError

    def run(self) -> None:
        """Compute the output of the input once."""
        raise NotImplementedError


class TensorFlowRunner(Runner):
    """What a `tf.function` and a signature of a SavedModel share."""

    _call: Callable

    @classmethod
    def import_runtime(cls, *, threads: int) -> None:
        """Import TensorFlow, whose threads are a setting of the process."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    @classmethod
    def operation_times(cls, path: Path, *, size: tuple[int, int], threads: int) -> OperationTable:
        """None."""
        return OperationTable(method="not available: TensorFlow times operations only in its own profiler")

    def prepare(self, size: tuple[int, int]) -> None:
        import tensorflow as tf

        self._image = tf.constant(pixels((1, *size, 3), np.float32))

    def run(self) -> None:
        result = self._call(self._image)
        # Waits for the result, wherever it is computed.
        for tensor in result.values() if isinstance(result, Mapping) else (result,):
            tensor.numpy()


def pixels(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Seeded random pixels of an image as a tensor of that shape and type stores them."""
    values = np.random.default_rng(0).integers(0, 256, shape)
    # An int8 input stores a byte less 128.
    return (values - 128 if np.dtype(dtype) == np.int8 else values).astype(dtype)


def image_axes(shape: tuple[int | None, ...], path: Path) -> tuple[int, int]:
    """The axes of height and width: those behind or before the three colours."""
    if len(shape) == 4 and shape[3] == _COLOURS:
        return 1, 2
    if len(shape) == 4 and shape[1] == _COLOURS:
        return 2, 3
    raise InputError(f"{path} takes {shape}, not one batch of RGB images")


def static_size(shape: tuple[int | None, ...], axes: tuple[int, int]) -> tuple[int, int] | None:
    """(height, width) where the shape states both."""
    height, width = (shape[axis] for axis in axes)
    return None if height is None or width is None else (height, width)


def full_shape(
    shape: tuple[int | None, ...], axes: tuple[int, int], size: tuple[int, int]
) -> tuple[int, ...]:
    """One image of that size."""
    known = {0: 1, **dict(zip(axes, size, strict=True))}
    return tuple(known.get(axis, _COLOURS) for axis in range(len(shape)))
