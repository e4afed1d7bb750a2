"""What is about to be trained or scored on: looked at before the first step, and refused or mended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from zoo.datasets.checking import SplitReport, problems_of, report_of
from zoo.datasets.dataset import Dataset
from zoo.datasets.scan import scan
from zoo.errors import InputError

_SHOWN = 5
Note = Callable[[str], None]


def examine(dataset: Dataset, *, note: Note, training: bool = False) -> SplitReport:
    """Decode every mask and read the header of every image; remembered as long as no file changes.

    Records were looked at when they were packed, and each is checked when it is read.

    Args:
        dataset: To be read.
        note: Called with a line about what is not wrong but should be known: classes without a pixel.
        training: Whether it is trained on, for which one class is too few.

    Raises:
        InputError: Something is wrong with the files, the first of them named; no pixel counts; or, to train
            on, all pixels are of one class.
    """
    report = _as_packed(dataset) or report_of(dataset, scan(dataset, thorough=False))
    if report.problems:
        first, more = report.problems[0], len(report.problems) - 1
        rest = f" (and {more} more)" if more else ""
        raise InputError(f"{first.path}: {first.message}{rest}; `zoo dataset check` lists what is wrong")
    absent = report.absent(dataset.label_set)
    present = len(dataset.label_set) - len(absent)
    if not present:
        raise InputError(f"{_named(dataset)}: no pixel counts, every one is ignored")
    if training and present == 1:
        (only,) = set(dataset.label_set.names) - set(absent)
        raise InputError(
            f"{_named(dataset)}: every pixel that counts is {only!r}, so there is nothing to learn; see "
            "`zoo dataset check`"
        )
    if absent:
        note(f"{_named(dataset)}: no pixel of {_listed(absent)}")
    return report


def examined(
    training: Dataset, validation: Dataset | None, *, skip_damaged: bool, note: Note
) -> tuple[Dataset, Dataset | None]:
    """What a run reads once `examine` has looked at it.

    Args:
        training: To train on.
        validation: To score on, or `None`.
        skip_damaged: Whether every file is decoded and what cannot be used is left out: of `validation`, and
            of `training` with the next usable sample in its place; see `without_damaged`.
        note: As for `examine`.

    Raises:
        InputError: As of `examine` and `without_damaged`.
    """
    if skip_damaged:
        training = without_damaged(training, note=note, in_place=True)
        validation = validation and without_damaged(validation, note=note, in_place=False)
    examine(training, note=note, training=True)
    if validation is not None:
        examine(validation, note=note)
    return training, validation


def _as_packed(dataset: Dataset) -> SplitReport | None:
    if dataset.counted is None:
        return None
    *pixels, ignored = dataset.counted
    return SplitReport(dataset.split, len(dataset), (), tuple(pixels), ignored)


def without_damaged(dataset: Dataset, *, note: Note, in_place: bool) -> Dataset:
    """The data set without the samples that cannot be used, after every file was decoded.

    Args:
        dataset: To be read.
        note: Called with a line for each sample that is left out.
        in_place: Whether the next usable sample stands in its place, so that epochs keep their length and
            a run that goes on finds the others where they were.

    Raises:
        InputError: No sample can be used.
    """
    values = dataset.values()
    wrong = [problems_of(dataset, one, values) for one in scan(dataset, thorough=True)]
    usable = [index for index, problems in enumerate(wrong) if not problems]
    if not usable:
        raise InputError(f"{_named(dataset)}: every sample is damaged; see `zoo dataset check`")
    for problems in wrong:
        if problems:
            note(f"left out: {problems[0].path}: {problems[0].message}")
    if len(usable) == len(dataset):
        return dataset
    if not in_place:
        kept = tuple(dataset.pairs[index] for index in usable)
        return dataclasses.replace(dataset, pairs=kept, counted=None)
    pairs, following = [], dataset.pairs[usable[0]]
    for index in reversed(range(len(dataset))):
        if not wrong[index]:
            following = dataset.pairs[index]
        pairs.append(following)
    return dataclasses.replace(dataset, pairs=tuple(reversed(pairs)), counted=None)


def _named(dataset: Dataset) -> str:
    return f"{dataset.name} {dataset.split}"


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more classes" if more > 0 else "")
