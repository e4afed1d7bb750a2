"""Checks of a data set before training: unreadable files, sizes, labels that are no class, class shares."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.datasets import readers
from zoo.datasets.cityscapes import LAST_ID
from zoo.datasets.dataset import INVALID, Dataset, describe_values
from zoo.datasets.folder import Place, names_classes
from zoo.datasets.found_colors import color_problem
from zoo.datasets.listing import Unpaired
from zoo.datasets.reading import Reading
from zoo.datasets.scan import BOTH, Problem, Scan, scan
from zoo.errors import InputError
from zoo.files import check_local
from zoo.labels import CITYSCAPES19, MOST_IN_FILES, LabelSet, numbered

_MOST_UNNAMED = 64  # classes that are counted from the masks; beyond, it is noise as likely


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split.

    Attributes:
        split: Name of the split.
        samples: Number of pairs.
        problems: What is wrong, in the order of the files.
        pixels: Number of labelled pixels of each class, over the masks that could be read.
        ignored: Number of pixels with the ignore label.
        turned: Images that their EXIF orientation turns.
    """

    split: str
    samples: int
    problems: tuple[Problem, ...]
    pixels: tuple[int, ...]
    ignored: int
    turned: tuple[Path, ...] = ()

    def absent(self, label_set: LabelSet) -> tuple[str, ...]:
        """Names of the classes without a single pixel."""
        return tuple(name for name, count in zip(label_set.names, self.pixels, strict=True) if not count)

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
    colors: str | os.PathLike | None = None,
    mapping: Mapping[int, int | str] | None = None,
    binary: bool = False,
    reading: Reading | None = None,
    arrangement: str | None = None,
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
        colors: For ``folder``, as for `zoo.datasets.open_dataset`.
        mapping: As for `zoo.datasets.open_dataset`.
        binary: As for `zoo.datasets.open_dataset`.
        reading: As for `zoo.datasets.open_dataset`.
        arrangement: As for `zoo.datasets.open_dataset`.
        progress: Wraps the iteration over the samples of each split, to show how far it is.

    Returns:
        The findings for each split.

    Raises:
        InputError: The folder, kind, split or classes cannot be used at all.
    """
    data = readers.place_of(data)
    kind = readers.detect_kind(data) if kind is None and masks is None else kind or "folder"
    known = readers.splits_of(kind, data, masks=masks, arrangement=arrangement)
    place = (
        Place(data, None if masks is None else check_local(masks), arrangement) if kind == "folder" else None
    )
    if splits is None:
        divided = place.is_divided() if place else _has_lists(data, known)
        everything = known[-1:] == ("all",)
        splits = (known[:-1] if divided else known[-1:]) if everything else known
    # Without a split the reader says that none was found.
    names = tuple(dict.fromkeys(splits)) or ("train",)
    named = classes is not None or colors is not None or binary
    counted = place is not None and not named and not names_classes(place)
    given = MOST_IN_FILES if counted else classes
    how = {"colors": colors, "mapping": mapping, "binary": binary, "reading": reading}
    how["arrangement"] = arrangement
    scans = []
    for name in names:
        listing = readers.list_files(kind, data, split=name, classes=given, masks=masks, **how)
        scans.append((listing, scan(listing.dataset, progress=progress)))
    datasets = [listing.dataset for listing, _ in scans]
    if counted:
        labels = numbered(_largest(scan for _, found in scans for scan in found) + 1)
        datasets = [dataclasses.replace(dataset, label_set=labels) for dataset in datasets]
    reports = [
        report_of(dataset, found, listing.unpaired)
        for dataset, (listing, found) in zip(datasets, scans, strict=True)
    ]
    if kind == "folder":
        everything = [one for _, found in scans for one in found]
        where = everything[0].mask_path.parent if everything else data
        found = (_unnamed_problem(everything) if counted else None, color_problem(everything, where))
        problems = (*reports[0].problems, *filter(None, found))
        reports[0] = dataclasses.replace(reports[0], problems=problems)
    if kind == "records":
        reports = [_with_digests(data, report) for report in reports]
    if not any(report.samples or report.problems for report in reports):
        raise InputError(f"{data}: there are no samples in {', '.join(names)}")
    return DatasetReport(kind, data, datasets[0].label_set, tuple(reports))


# --- judging ------------------------------------------------------------------------------------


def _with_digests(data: Path, report: SplitReport) -> SplitReport:
    """The report, and the shards that are not those of their index."""
    from zoo.datasets.records.verification import verify

    wrong = [problem for problem in verify(data, report.split) if problem.kind != "missing"]
    return dataclasses.replace(report, problems=(*report.problems, *wrong))


def _has_lists(data: Path, names: Iterable[str]) -> bool:
    return any((data / f"{name}.txt").is_file() for name in names)


def _largest(scans: Iterable[Scan]) -> int:
    """The largest value below 255 in any mask, 0 if there is none."""
    found = [np.flatnonzero(s.histogram[:MOST_IN_FILES]) for s in scans if s.histogram is not None]
    return max((int(values[-1]) for values in found if values.size), default=0)


def report_of(dataset: Dataset, scans: Sequence[Scan], unpaired: Iterable[Unpaired] = ()) -> SplitReport:
    """What the scans of a data set's pairs say of all of it."""
    values = dataset.values()
    problems = [Problem(path, "missing", message) for path, message in unpaired]
    total = np.zeros(256, np.int64)
    for one in scans:
        problems += problems_of(dataset, one, values)
        if one.histogram is not None:
            total += one.histogram
    pixels = [int(total[values == label].sum()) for label in range(len(dataset.label_set))]
    ignored = int(total[values == dataset.label_set.ignore_label].sum())
    if scans:
        folder = scans[0].mask_path.parent
        problems += [Problem(folder, *found) for found in _of_all(dataset, scans, total, sum(pixels))]
    turned = tuple(one.image_path for one in scans if one.fits is not None)
    return SplitReport(dataset.split, len(dataset), tuple(problems), tuple(pixels), ignored, turned)


def problems_of(dataset: Dataset, one: Scan, values: np.ndarray) -> list[Problem]:
    """What is wrong with one pair; `values` are those of the data set."""
    problems = list(one.problems)
    if one.histogram is not None:
        found = np.flatnonzero((one.histogram > 0) & (values == INVALID))
        if found.size:
            problems.append(_value_problem(dataset, one.mask_path, found))
    return problems


def _of_all(
    dataset: Dataset, scans: Sequence[Scan], total: np.ndarray, counted: int
) -> Iterator[tuple[str, str]]:
    """Kind and message of what is wrong with all masks together."""
    found = np.flatnonzero(total).tolist()
    if dataset.ids and _look_like_train_ids(total):
        yield "ids", "files of label ids hold trainIds: no value from 19 to 33 occurs in any, but 255 does"
        return
    ignored = dataset.values()[255] == dataset.label_set.ignore_label
    if dataset.name == "folder" and found == [0, 255] and ignored:
        yield (
            "values",
            "the masks hold 0 and 255 only, and 255 is ignored; write a second class as 1, or say --binary "
            "or --map 255=1",
        )
    elif found and not counted and dataset.values()[found].min() != INVALID:
        yield "values", f"no pixel counts: every mask holds nothing but ignored pixels (value {found[0]})"
    both = [one.image_path for one in scans if one.fits == BOTH]
    if both and dataset.reading.exif is None:
        yield (
            "exif",
            f"{len(both)} images, such as {both[0].name}, turn by their EXIF orientation, and their masks "
            "fit either way: say --exif apply or --exif raw",
        )


def _unnamed_problem(scans: Sequence[Scan]) -> Problem | None:
    """Where no classes are named: that the masks' values do not look like numbers of classes."""
    total = sum((s.histogram for s in scans if s.histogram is not None), np.zeros(256, np.int64))
    found = np.flatnonzero(total[:MOST_IN_FILES])
    if not found.size or (found.size == found[-1] + 1 and found.size <= _MOST_UNNAMED):
        return None
    if np.flatnonzero(total).tolist() in ([0, MOST_IN_FILES], [0, 1, MOST_IN_FILES]):
        return None
    message = (
        f"the classes are not known, and the masks hold {found.size} different values up to {found[-1]}: "
        "give --classes; where there are fewer classes, the masks went through a lossy format or smoothing"
    )
    return Problem(scans[0].mask_path.parent, "classes", message)


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
        "turned_by_exif": [str(path) for path in split.turned],
        "shares": dict(zip(names, split.shares, strict=True)),
        "weights": dict(zip(names, split.weights, strict=True)),
    }
