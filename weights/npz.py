"""The zoo's own files: arrays by variable path, kernels in 16 bits, in NumPy's zip container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.files import written_whole
from zoo.labels import FEWEST_CLASSES, MOST_CLASSES
from zoo.weights.readers import archive

# The number of classes: a classifier's width may be a multiple of it.
CLASSES = "classes"
# Which model the weights are of, its settings and its classes, as one text; older files do not have it.
ABOUT = "about"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Every array of the file by name, floats as float32, ``classes`` and ``about``; nothing can execute.

    Raises:
        FormatError: No such archive, a damaged one, one of unreasonable size, or one of other types.
    """
    with archive.opened(path, kind=".npz") as file:
        arrays = {
            member.filename.removesuffix(".npy"): archive.read_array(file, member)
            for member in file.infolist()
        }
    classes = arrays.pop(CLASSES, None)
    is_integer = classes is not None and classes.shape == () and classes.dtype.kind == "i"
    if not is_integer or not FEWEST_CLASSES <= classes <= MOST_CLASSES:
        raise FormatError(f"{path.name}: states no number of classes, so `zoo weights pack` did not write it")
    about = arrays.pop(ABOUT, None)
    if about is not None and (about.shape != () or about.dtype.kind != "U"):
        raise FormatError(f"{path.name}: what it says about its model is no text")
    wrong = [name for name, array in arrays.items() if array.dtype.kind != "f"]
    if wrong:
        raise FormatError(f"{path.name}: {wrong[0]} holds {arrays[wrong[0]].dtype}, not floats")
    stated = {CLASSES: classes, **({} if about is None else {ABOUT: about})}
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as anywhere
        return {**stated, **{name: array.astype(np.float32) for name, array in arrays.items()}}


def write_npz(
    path: Path, arrays: Mapping[str, np.ndarray], *, classes: int, about: str | None = None
) -> None:
    """Write arrays beside `path`, then rename: kernels as float16, all else as float32.

    `about` is the text of `zoo.provenance.to_text`.

    The same arrays give the same bytes. Statistics and biases stay in 32 bits: they are few, and a small
    variance has no 16-bit form.

    Raises:
        InputError: A kernel with a value that float16 cannot hold, or a folder that cannot be written.
    """
    stored = {name: _stored(name, array) for name, array in arrays.items()}
    stored[CLASSES] = np.asarray(classes, np.int64)
    if about is not None:
        stored[ABOUT] = np.asarray(about)
    with written_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **stored)


def _stored(name: str, array: np.ndarray) -> np.ndarray:
    full = np.asarray(array, np.float32)
    if full.ndim < 2:
        return full
    with np.errstate(over="ignore"):
        half = full.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(f"{name}: a value beyond ±65504 cannot be stored in 16 bits")
    return half
