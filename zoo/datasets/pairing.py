"""Which mask belongs to which image, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.datasets.listing import Unpaired
from zoo.datasets.names import (
    MASK_SUFFIXES,
    is_beside_ids,
    normal,
    visible,
    without_image_ending,
    without_mask_ending,
)


@dataclass(frozen=True)
class Paired:
    """Files of one folder of images and one of masks, which may be the same.

    Attributes:
        images: By composed stem.
        masks: By the stem of their image, or by their own where none fits.
        problems: Second files of a name.
        beside: Masks with an ending, of an image that has a mask of its very stem.
    """

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    problems: tuple[Unpaired, ...]
    beside: tuple[Unpaired, ...] = ()

    def unpaired(self) -> list[Unpaired]:
        """Masks without an image."""
        return [
            (path, "no image of this stem") for stem, path in self.masks.items() if stem not in self.images
        ]


def pair(image_folder: Path, mask_folder: Path, suffixes: Sequence[str] = MASK_SUFFIXES) -> Paired:
    """Pair by equal stems, and where there is none by the endings that tools give to masks and images.

    Masks are files of these `suffixes`; in one folder with the images, those without loss.
    """
    problems: list[Unpaired] = []
    images, masks = visible(image_folder), visible(mask_folder, tuple(suffixes))
    if image_folder == mask_folder:
        images, masks = apart(images)
    by_stem = _by_stem(images, problems)
    masks = [path for path in masks if not is_beside_ids(path.stem)]
    beside: list[Unpaired] = []
    found: dict[str, Path] = {}
    own = {normal(path.stem) for path in masks} & set(by_stem)
    find = _finder(by_stem)
    for path in masks:
        stem = normal(path.stem)
        key = stem if stem in own else find(stem) or stem
        if key not in found:
            found[key] = path
        elif stem == normal(found[key].stem):
            problems.append((path, f"the same stem as {found[key].name}"))
        else:
            where = beside if key in own else problems
            where.append((path, f"a second mask of {by_stem[key].name}, beside {found[key].name}"))
    return Paired(by_stem, found, tuple(problems), tuple(beside))


def apart(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Images and masks of one folder: masks have an ending of masks, and a suffix of files without loss."""
    images, masks = [], []
    for path in paths:
        named = without_mask_ending(normal(path.stem)) is not None or is_beside_ids(path.stem)
        (masks if named and path.suffix.lower() in MASK_SUFFIXES else images).append(path)
    return images, masks


def _by_stem(paths: Iterable[Path], problems: list[Unpaired]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        stem = normal(path.stem)
        if stem in found:
            problems.append((path, f"the same stem as {found[stem].name}"))
        else:
            found[stem] = path
    return found


def _finder(images: Mapping[str, Path]) -> Callable[[str], str | None]:
    """The stem of the image that a mask's name points to: ``a`` for ``a.jpg``, ``a_mask`` and both."""
    by_name = {normal(path.name): stem for stem, path in images.items()}
    by_base: dict[str, str | None] = {}
    for stem in images:
        base = without_image_ending(stem)
        if base is not None:
            by_base[base] = None if base in by_base else stem  # of two, neither is meant

    def find(stem: str) -> str | None:
        for text in (stem, without_mask_ending(stem)):
            if text is None:
                continue
            key = text if text in images else by_name.get(text) or by_base.get(text)
            if key is not None:
                return key
        return None

    return find
