"""One look at each pair of files of a data set: all masks in parallel, once, and remembered by digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError, ZooError
from zoo.files import cache_dir, write_text
from zoo.images.read import read_header, read_image

_VERSION = 1  # of what is remembered; another version looks anew
_MOST_WORKERS = 8
BOTH, STORED, UPRIGHT = "both", "stored", "upright"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: which file, what kind of problem, and a message."""

    path: Path
    kind: str  # "missing", "unreadable", "size", "values", "classes", "exif" or "ids"
    message: str


@dataclass(frozen=True)
class Scan:
    """What one pair of files holds.

    Attributes:
        image_path: Of the image.
        mask_path: Of the mask.
        problems: What is wrong with either.
        histogram: How often each of the 256 values occurs in the mask, `None` if it cannot be read.
        fits: Where EXIF turns the image: which of its two readings has the size of the mask; else `None`.
    """

    image_path: Path
    mask_path: Path
    problems: tuple[Problem, ...]
    histogram: np.ndarray | None
    fits: str | None = None


def scan(
    dataset: Dataset, *, thorough: bool = True, progress: Callable[[Iterable], Iterable] = iter
) -> list[Scan]:
    """Look at every pair, in parallel.

    Args:
        dataset: Whose files are looked at.
        thorough: Whether images are decoded; else their headers are read only. Masks are decoded always.
        progress: Wraps the iteration over the pairs.
    """
    key = _key(dataset, thorough)
    found = _remembered(key, dataset)
    if found is not None:
        return list(progress(found))
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        found = list(progress(pool.map(lambda pair: _scan(pair, dataset, thorough), dataset.pairs)))
    _remember(key, found)
    return found


def _scan(pair: tuple[Path, Path], dataset: Dataset, thorough: bool) -> Scan:
    problems: list[Problem] = []
    image, mask = pair
    header = _tried(lambda: read_header(image, max_pixels=dataset.reading.max_pixels), image, problems)
    values = _tried(lambda: dataset.read_values(mask), mask, problems)
    fits = None
    if header is not None and values is not None:
        raw = dataset.reading.exif == "raw"
        seen = header.stored if raw else header.upright
        if header.turned:
            fits = {
                (True, True): BOTH,
                (True, False): STORED,
                (False, True): UPRIGHT,
            }.get((header.stored == values.shape, header.upright == values.shape))
        if seen != values.shape:
            problems.append(Problem(mask, "size", _size_message(values.shape, seen, None if raw else fits)))
    if thorough and header is not None:
        options = dataset.reading.image_options()
        _tried(lambda: read_image(image, **options), image, problems)
    histogram = None if values is None else _histogram(values)
    return Scan(image, mask, tuple(problems), histogram, fits)


def _histogram(values: np.ndarray) -> np.ndarray:
    parts = np.array_split(values.ravel(), max(1, values.size >> 20))  # bincount copies to 64 bits
    return np.sum([np.bincount(part, minlength=256) for part in parts], axis=0)


def _size_message(mask: tuple[int, ...], image: tuple[int, int], fits: str | None) -> str:
    message = f"{_size(mask)} pixels, but its image has {_size(image)}"
    if fits == STORED:
        message += " once it is turned by its EXIF orientation; --exif raw reads it as stored, which fits"
    return message


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


def _tried(read: Callable, path: Path, problems: list[Problem]):
    try:
        return read()
    except ZooError as error:
        kind = "unreadable" if path.exists() else "missing"
        problems.append(Problem(path, kind, str(error).removeprefix(f"{path}: ")))
        return None


# --- memory of what was seen --------------------------------------------------------------------


def _key(dataset: Dataset, thorough: bool) -> str:
    """Digest of the files, by path, size and time of change, and of how they are read."""
    digest = hashlib.sha256()
    settings = [_VERSION, thorough, astuple(dataset.reading), dataset.colors, dataset.distance]
    digest.update(json.dumps(settings).encode())
    for path in (path for pair in dataset.pairs for path in pair):
        try:
            state = path.stat()
            stamp = (state.st_size, state.st_mtime_ns)
        except OSError:
            stamp = ()
        digest.update(f"{path.absolute()}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _file(key: str) -> Path:
    return cache_dir() / "checks" / f"{key}.json"


def _remembered(key: str, dataset: Dataset) -> list[Scan] | None:
    try:
        rows = json.loads(_file(key).read_text(encoding="utf-8"))
        if len(rows) != len(dataset.pairs):
            return None
        return [_from_row(row, *pair) for row, pair in zip(rows, dataset.pairs, strict=True)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _from_row(row: dict, image: Path, mask: Path) -> Scan:
    problems = tuple(Problem(Path(p["path"]), str(p["kind"]), str(p["message"])) for p in row["problems"])
    histogram = None
    if row["values"] is not None:
        histogram = np.zeros(256, np.int64)
        for value, count in row["values"]:
            histogram[value] = count
    return Scan(image, mask, problems, histogram, row["fits"])


def _remember(key: str, found: list[Scan]) -> None:
    rows = []
    for one in found:
        problems = [{**asdict(p), "path": str(p.path)} for p in one.problems]
        values = None
        if one.histogram is not None:
            values = [[int(v), int(one.histogram[v])] for v in np.flatnonzero(one.histogram)]
        rows.append({"problems": problems, "values": values, "fits": one.fits})
    path = _file(key)
    # A cache that cannot be written is no reason to stop.
    with contextlib.suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(rows))
