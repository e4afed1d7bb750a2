"""Reads tensors from torch checkpoints without torch and without unpickling.

`torch_containers` opens the file, `torch_pickle` reads what it says as data, `torch_sets` finds the tensors
in it, and `torch_arrays` takes the numbers out.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.tensor_sets import LazyTensors, TensorSet
from zoo.weights.readers.torch_arrays import Arrays
from zoo.weights.readers.torch_containers import SAVE, Contents, open_torch
from zoo.weights.readers.torch_objects import Placeholder, Quantized, Sparse, Storage
from zoo.weights.readers.torch_sets import Place, find_places


def read_torch_sets(path: str | Path) -> tuple[TensorSet, ...]:
    """Every set of tensors by name in a torch file, those nearest to the top first.

    The numbers are read when they are asked for; the file must stay as it is until then.

    Args:
        path: A file of ``torch.save``, of either container, of ``torch.jit.save``, or of ``pickle.dump``.

    Raises:
        FormatError: The file is damaged or truncated, has no tensors by name, or would run code.
    """
    path = Path(path)
    with _one_line(path):
        contents = _opened(path)
        places = find_places(contents.root)
        if not places:
            raise FormatError(_nothing_in(contents))
    arrays = Arrays(contents)
    return tuple(_set(path, place, arrays) for place in places)


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of the only set that a torch file has, by name, in the order of the file.

    Returns:
        Contiguous writable arrays in the host's byte order; bfloat16 and float8 tensors as float32 (exact);
        tied tensors share one array. Peak memory is the size of the file besides its page cache.

    Raises:
        FormatError: As of `read_torch_sets`, or if there are several sets.
    """
    sets = read_torch_sets(path)
    if len(sets) > 1:
        keys = ", ".join(repr(found.key) for found in sets[:8])
        raise FormatError(f"{Path(path).name}: tensors in several places: {keys}")
    return dict(sets[0].tensors)


def read_torch_facts(path: str | Path) -> dict[str, int | float | str | bool]:
    """The numbers and texts that stand beside the tensors, at the top of a torch file, by name.

    Args:
        path: As for `read_torch_sets`.

    Raises:
        FormatError: As of `read_torch_sets`.
    """
    path = Path(path)
    with _one_line(path):
        root = _opened(path).root
    if not isinstance(root, dict):
        return {}
    plain = {name: value for name, value in root.items() if isinstance(name, str)}
    return {name: value for name, value in plain.items() if isinstance(value, (bool, int, float, str))}


def _opened(path: Path) -> Contents:
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise FormatError("the file is empty") from error
    # closed with its last reference: the tensors that are still to be read hold one
    return open_torch(data)


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{path.name}: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise FormatError(f"{path.name}: cannot be read: {error.strerror or error}") from error


def _set(path: Path, place: Place, arrays: Arrays) -> TensorSet:
    def make(name: str) -> np.ndarray:
        with _one_line(path):
            return arrays.of(name, place.records[name])

    kinds = [type(record) for record in place.records.values()]
    notes = [
        f"{words}: {count}"
        for words, count in (
            ("quantized tensors, taken as the numbers that they stand for", kinds.count(Quantized)),
            ("sparse tensors, filled up with zeros", kinds.count(Sparse)),
        )
        if count
    ]
    return TensorSet(
        key=place.key,
        tensors=LazyTensors({name: partial(make, name) for name in place.records}),
        kind=place.kind,
        is_joined=place.is_joined,
        notes=tuple(notes),
    )


def _nothing_in(contents: Contents) -> str:
    """Why there is nothing to load, and what to do instead."""
    root = contents.root
    if isinstance(root, Placeholder) and root.is_object:
        return f"refused: an object {root.name[:80]!r} in which no tensors are found; {SAVE}"
    if isinstance(root, Placeholder):
        return f"refused: the name {root.name[:80]!r} and no tensors; {SAVE}"
    if isinstance(root, Storage) or not isinstance(root, (dict, list, tuple)):
        return f"no dictionary of tensors, but one {type(root).__name__}; {SAVE}"
    return f"no tensors by name in it; {SAVE}"
