"""Colour masks with a table: ``images`` and ``masks``, or CVAT's ``JPEGImages`` and ``SegmentationClass``.

The class of a pixel is that of the nearest colour within a bound; beyond it a pixel is ignored and counted. A
file of one channel without a palette holds colours if each of its values is a grey of the table, else
positions in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.datasets.colors import find_table, nearest, read_table
from zoo.datasets.convert.documents import read_text
from zoo.datasets.convert.model import IGNORED, Sample, Settings, Source, Tally
from zoo.datasets.convert.places import common_name, files_below, path_parts, split_of, split_of_path
from zoo.datasets.found_colors import table_of
from zoo.errors import FormatError, InputError
from zoo.images import SUFFIXES
from zoo.images.read import read_colors
from zoo.labels import VOC21, Color

_IMAGES = ("images", "JPEGImages", "image", "imgs", "img")
_VOID = (224, 224, 192)
_MASKS = ("masks", "SegmentationClass", "labels", "mask", "annotations")


def read(root: Path, settings: Settings) -> Source:
    """Pictures and masks of the same path and stem below two folders."""
    mask_folder = next((root / name for name in _MASKS if (root / name).is_dir()), None)
    image_folder = settings.pictures or next(
        (root / name for name in _IMAGES if (root / name).is_dir()), None
    )
    if mask_folder is None or image_folder is None:
        raise InputError(
            f"{root}: a folder of pictures ({', '.join(_IMAGES)}) and one of masks "
            f"({', '.join(_MASKS)}) were expected; --pictures DIR names theirs"
        )
    masks = files_below(mask_folder, SUFFIXES)
    table = _table(root, masks, settings)
    names, colors = tuple(table), tuple(table.values())
    pictures = {_key(path, image_folder): path for path in files_below(image_folder, SUFFIXES)}
    lists = _lists(root)
    samples = []
    for mask in masks:
        key = _key(mask, mask_folder)
        picture = pictures.pop(key, None)
        if picture is None:
            settings.tally.add("annotations without their picture", common_name(mask, root), lost=True)
            continue
        samples.append(
            Sample(
                image=picture,
                name=common_name(picture, image_folder),
                split=lists.get(key) or split_of_path(mask, mask_folder),
                positions=lambda mask=mask: _positions(mask, colors, settings),
            )
        )
    settings.tally.add("pictures without a mask, left out", *list(pictures)[:1], count=len(pictures))
    return Source(names=names, samples=samples, unlabelled="ignore", palette=table)


def _key(path: Path, folder: Path) -> str:
    return common_name(path.with_suffix(""), folder)


def _table(root: Path, masks: Sequence[Path], settings: Settings) -> dict[str, Color]:
    if settings.colors is not None:
        return read_table(settings.colors)
    try:
        return read_table(find_table(root))
    except InputError:
        table = _without_void(table_of(masks), settings.tally)
        settings.tally.add(
            "colours found, since there is no table; classes are named after them", count=len(table)
        )
        return table


def _without_void(table: dict[str, Color], tally: Tally) -> dict[str, Color]:
    """Where all other colours are PASCAL VOC's, its off-white is the colour of no class, as there."""
    kept = {name: color for name, color in table.items() if color != _VOID}
    if kept == table or not set(kept.values()) <= set(VOC21.palette):
        return table
    tally.add("the off-white of PASCAL VOC's void is no class")
    return kept


def _lists(root: Path) -> dict[str, str]:
    """Split by stem, from ``ImageSets/Segmentation`` or lists in the folder itself."""
    found: dict[str, str] = {}
    for folder in (root / "ImageSets" / "Segmentation", root):
        for path in sorted(folder.glob("*.txt")):
            split = split_of(path.stem)
            if split is not None:
                for line in read_text(path).splitlines():
                    key = "/".join(path_parts(line.strip()))
                    if found.setdefault(key, split) != split:
                        raise InputError(f"{path}: {key} is in the splits {found[key]} and {split}")
    return found


def _positions(path: Path, colors: Sequence[Color], settings: Settings) -> np.ndarray:
    pixels, plain = read_colors(path)
    greys = {red for red, green, blue in colors if red == green == blue}
    if plain and not set(np.unique(pixels[..., 0]).tolist()) <= greys:
        positions = pixels[..., 0].astype(np.int16)
        if positions.max() >= len(colors):
            raise FormatError(
                f"the value {positions.max()} is neither a grey of the table nor a position in it"
            )
        return positions
    found = nearest(pixels, colors, distance=settings.distance)
    _count(found, path, settings.tally)
    if found.far > found.positions.size // 2:
        raise FormatError(
            f"{found.far} of {found.positions.size} pixels have a colour of no class, most of them "
            f"{found.example}: another table?"
        )
    return np.where(found.positions < 0, np.int16(IGNORED), found.positions)


def _count(found, path: Path, tally: Tally) -> None:
    tally.add("pixels of a colour near that of their class", path.name, count=found.inexact)
    example = f"{path.name}: {found.example}"
    tally.add("pixels of a colour of no class, ignored", example, count=found.far)
