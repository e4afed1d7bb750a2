"""The mask of one picture from its regions, by stated rules for overlaps, crowds and what is not covered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.datasets.convert.classes import Classes
from zoo.datasets.convert.model import IGNORED, UNLABELLED, Patch, Region, Sample, Settings
from zoo.errors import FormatError

IGNORE_LABEL = 255


def painted(
    sample: Sample, classes: Classes, settings: Settings, *, names: Sequence[str], size: tuple[int, int]
):
    """The mask of a picture.

    Args:
        sample: What is known of it.
        classes: Of the result.
        settings: The rules.
        names: Classes to which the positions of a mask of its own refer.
        size: Height and width of the picture in the frame of its annotation.

    Returns:
        ``(height, width)`` uint8: classes and `IGNORE_LABEL`.

    Raises:
        FormatError: A region that cannot be drawn, or a mask of another size.
    """
    if sample.positions is not None:
        canvas = _own(sample.positions(), classes, settings, names=names, size=size, name=sample.name)
    else:
        canvas = _canvas(sample, classes, settings, size)
    unlabelled = classes.unlabelled
    if not sample.regions and sample.positions is None and settings.empty == "ignore":
        unlabelled = IGNORED
    canvas[canvas == UNLABELLED] = unlabelled
    canvas[canvas == IGNORED] = IGNORE_LABEL
    return canvas.astype(np.uint8)


def _own(
    positions: np.ndarray, classes: Classes, settings: Settings, *, names, size, name: str
) -> np.ndarray:
    if positions.shape != size:
        raise FormatError(
            f"a mask of {positions.shape[1]}x{positions.shape[0]} for a picture of {size[1]}x{size[0]}"
        )
    table = np.array([classes.index[label] for label in names] + [IGNORED, UNLABELLED], np.int16)
    canvas = table[positions]
    if settings.classes is not None:
        dropped = (positions >= 0) & (canvas == UNLABELLED)
        settings.tally.add("pixels of labels that are none of --classes", name, count=int(dropped.sum()))
    return canvas


def _canvas(sample: Sample, classes: Classes, settings: Settings, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    canvas = np.full(size, UNLABELLED, np.int16)
    regions = [region for region in sample.regions if not region.crowd]
    patches = [
        (region, _patch(region, height, width)) for region in _known(regions, sample, classes, settings)
    ]
    if settings.overlap == "smallest":
        patches.sort(key=lambda pair: -int(pair[1].mask.sum()))
    clash = np.zeros(size, bool) if settings.overlap == "ignore" else None
    overlapped = 0
    for region, patch in patches:
        view, mask = _window(canvas, patch), patch.mask
        index = classes.index[region.label]
        other = mask & (view >= 0) & (view != index)
        overlapped += int(other.sum())
        if clash is not None:
            _window(clash, patch)[other] = True
        view[mask] = index
    if clash is not None:
        canvas[clash] = IGNORED
    settings.tally.add("pixels of overlaps between classes", sample.name, count=overlapped)
    _crowds(canvas, sample, classes, settings)
    return canvas


def _known(regions: Sequence[Region], sample: Sample, classes: Classes, settings: Settings) -> list[Region]:
    """Regions whose label is a class, or ignored."""
    known = [region for region in regions if classes.index[region.label] != UNLABELLED]
    for region in regions:
        if classes.index[region.label] == UNLABELLED and settings.classes is not None:
            settings.tally.add("shapes whose label is none of --classes", f"{region.label} in {sample.name}")
    return known


def _crowds(canvas: np.ndarray, sample: Sample, classes: Classes, settings: Settings) -> None:
    """Crowds lie under everything else."""
    crowds = [region for region in sample.regions if region.crowd]
    settings.tally.add(f"crowds, as {settings.crowd}", sample.name, count=len(crowds))
    if settings.crowd == "background":
        return
    for region in _known(crowds, sample, classes, settings):
        patch = _patch(region, *canvas.shape)
        view = _window(canvas, patch)
        free = patch.mask & (view == UNLABELLED)
        view[free] = IGNORED if settings.crowd == "ignore" else classes.index[region.label]


def _patch(region: Region, height: int, width: int) -> Patch:
    patch = region.area(height, width)
    if not patch.mask.any():
        return Patch(0, 0, np.zeros((0, 0), bool))
    return patch


def _window(canvas: np.ndarray, patch: Patch) -> np.ndarray:
    rows, columns = patch.mask.shape
    return canvas[patch.top : patch.top + rows, patch.left : patch.left + columns]
