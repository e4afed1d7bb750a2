"""Checks of a data set before training: unreadable files, sizes, labels that are no class, class shares."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.datasets import readers
from zoo.datasets.cityscapes import LAST_ID
from zoo.datasets.dataset import INVALID, Dataset, describe_values, size_of
from zoo.errors import InputError, ZooError
from zoo.images import read_image
from zoo.labels import CITYSCAPES19, LabelSet, numbered

_MOST_CLASSES = 255


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: which file, what kind of problem, and a message."""

    path: Path
    kind: str  # "missing", "unreadable", "size", "values" or "ids"
    message: str


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split.

    Attributes:
        split: Name of the split.
        samples: Number of pairs.
        problems: What is wrong, in the order of the files.
        pixels: Number of labelled pixels of each class, over the masks that could be read.
        ignored: Number of pixels with the ignore label.
    """

    split: str
    samples: int
    problems: tuple[Problem, ...]
    pixels: tuple[int, ...]
    ignored: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each class in the pixels that are not ignored; all 0 if there are none."""
        total = sum(self.pixels)
        return tuple(count / total if total else 0.0 for count in self.pixels)

    @property
    def weights(self) -> tuple[float, ...]:
        """Suggested weight of each class in the loss, 1 / log(1.10 + share).

        The formula is that of ENet (Paszke et al. 2016), whose constant is 1.02. With 1.10 the
        weights stay between 1.3 and 10.5, so that a rare class cannot dominate.
        """
        return tuple(1.0 / math.log(1.10 + share) for share in self.shares)


@dataclass(frozen=True)
class DatasetReport:
    """What was found in a data set; see `check`."""

    kind: str
    folder: Path
    label_set: LabelSet
    splits: tuple[SplitReport, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(split.problems for split in self.splits)

    def to_dict(self) -> dict:
        """Plain data for a JSON document."""
        return {
            "kind": self.kind,
            "folder": str(self.folder),
            "ok": self.ok,
            "classes": list(self.label_set.names),
            "splits": {split.split: _split_document(split, self.label_set) for split in self.splits},
        }


def check(
    data: str | os.PathLike,
    *,
    kind: str | None = None,
    splits: Iterable[str] | None = None,
    classes: readers.Classes | None = None,
    masks: str | os.PathLike | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> DatasetReport:
    """Read every file of a data set and tell what is wrong.

    Found are missing partners, files that cannot be read, images and masks that differ in size, values in a
    mask that are no class, black and white masks whose white is ignored, and Cityscapes ids where trainIds
    are meant, or the reverse.

    Args:
        data: Folder of the data set.
        kind: One of `zoo.datasets.KINDS`; by default told from the folders.
        splits: Which ones to look at, by default all; without lists everything at once.
        classes: For ``folder``, as for `zoo.datasets.open_dataset`. If there are none, the largest value that
            occurs gives their number, and every value below 255 counts as a class.
        masks: For ``folder``, as for `zoo.datasets.open_dataset`.
        progress: Wraps the iteration over the samples of each split, to show how far it is.

    Returns:
        The findings for each split.

    Raises:
        InputError: The folder, kind, split or classes cannot be used at all.
    """
    data = Path(data)
    kind = readers.detect_kind(data) if kind is None and masks is None else kind or "folder"
    known = readers.splits_of(kind, data)
    if splits is None:
        everything = known[-1:] == ("all",)
        splits = (known[:-1] if _has_lists(data, known) else known[-1:]) if everything else known
    # Without a split the reader says that none was found.
    names = tuple(dict.fromkeys(splits)) or ("train",)
    counted = kind == "folder" and classes is None and not (data / "classes.txt").is_file()
    given = _MOST_CLASSES if counted else classes
    scans = []
    for name in names:
        listing = readers.list_files(kind, data, split=name, classes=given, masks=masks)
        read = listing.dataset.read_values
        scans.append((listing, [_scan(pair, read) for pair in progress(listing.dataset.pairs)]))
    datasets = [listing.dataset for listing, _ in scans]
    if counted:
        labels = numbered(_largest(scan for _, found in scans for scan in found) + 1)
        datasets = [dataclasses.replace(dataset, label_set=labels) for dataset in datasets]
    reports = tuple(
        _report(dataset, listing.unpaired, found)
        for dataset, (listing, found) in zip(datasets, scans, strict=True)
    )
    if not any(report.samples or report.problems for report in reports):
        raise InputError(f"{data}: there are no samples in {', '.join(names)}")
    return DatasetReport(kind, data, datasets[0].label_set, reports)


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scan:
    """Problems of one pair, and how often each of the 256 values occurs in its mask, if it can be read."""

    mask_path: Path
    problems: tuple[Problem, ...]
    histogram: np.ndarray | None


def _scan(pair: tuple[Path, Path], read_values: Callable) -> _Scan:
    problems: list[Problem] = []
    image = _read(read_image, pair[0], problems)
    mask = _read(read_values, pair[1], problems)
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        message = f"{size_of(mask)} pixels, but its image has {size_of(image)}"
        problems.append(Problem(pair[1], "size", message))
    histogram = None if mask is None else np.bincount(mask.ravel(), minlength=256)
    return _Scan(pair[1], tuple(problems), histogram)


def _read(read: Callable, path: Path, problems: list[Problem]) -> np.ndarray | None:
    try:
        return read(path)
    except ZooError as error:
        kind = "unreadable" if path.exists() else "missing"
        problems.append(Problem(path, kind, str(error).removeprefix(f"{path}: ")))
        return None


def _has_lists(data: Path, names: Iterable[str]) -> bool:
    return any((data / f"{name}.txt").is_file() for name in names)


def _largest(scans: Iterable[_Scan]) -> int:
    """The largest value below 255 in any mask, 0 if there is none."""
    found = [np.flatnonzero(s.histogram[:_MOST_CLASSES]) for s in scans if s.histogram is not None]
    return max((int(values[-1]) for values in found if values.size), default=0)


# --- judging ------------------------------------------------------------------------------------


def _report(dataset: Dataset, unpaired: Iterable, scans: list[_Scan]) -> SplitReport:
    values = dataset.values()
    problems = [Problem(path, "missing", message) for path, message in unpaired]
    total = np.zeros(256, np.int64)
    for scan in scans:
        problems += scan.problems
        if scan.histogram is None:
            continue
        total += scan.histogram
        found = np.flatnonzero((scan.histogram > 0) & (values == INVALID))
        if found.size:
            problems.append(_value_problem(dataset, scan.mask_path, found))
    if scans and dataset.ids and _look_like_train_ids(total):
        message = "files of label ids hold trainIds: no value from 19 to 33 occurs in any, but 255 does"
        problems.append(Problem(scans[0].mask_path.parent, "ids", message))
    if scans and dataset.name == "folder" and np.flatnonzero(total).tolist() == [0, 255]:
        message = "the masks hold 0 and 255 only, and 255 is ignored; write a second class as 1"
        problems.append(Problem(scans[0].mask_path.parent, "values", message))
    pixels = [int(total[values == label].sum()) for label in range(len(dataset.label_set))]
    ignored = int(total[values == dataset.label_set.ignore_label].sum())
    return SplitReport(dataset.split, len(dataset), tuple(problems), tuple(pixels), ignored)


def _value_problem(dataset: Dataset, path: Path, found: np.ndarray) -> Problem:
    message = f"{describe_values(found)} no class of {dataset.label_set.key}"
    count = len(CITYSCAPES19)
    if not dataset.ids and len(dataset.label_set) == count and found.max() <= LAST_ID:
        return Problem(path, "ids", f"{message}; they look like Cityscapes label ids, not trainIds")
    return Problem(path, "values", message)


def _look_like_train_ids(total: np.ndarray) -> bool:
    """Whether a whole split of "label ids" has no id from 19 on (vegetation is 21, sky 23, car 26)."""
    return bool(total[255]) and not total[len(CITYSCAPES19) : LAST_ID + 1].any()


def _split_document(split: SplitReport, label_set: LabelSet) -> dict:
    names = label_set.names
    return {
        "samples": split.samples,
        "problems": [
            {"path": str(problem.path), "kind": problem.kind, "message": problem.message}
            for problem in split.problems
        ],
        "pixels": dict(zip(names, split.pixels, strict=True)),
        "ignored_pixels": split.ignored,
        "shares": dict(zip(names, split.shares, strict=True)),
        "weights": dict(zip(names, split.weights, strict=True)),
    }
