"""COCO panoptic: a segment's id is the colour of its pixels, red + 256 green + 65536 blue; 0 is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.datasets.convert.documents import child, entries, key_of, size_of
from zoo.datasets.convert.model import IGNORED, UNLABELLED, Sample, Settings
from zoo.datasets.convert.pictures import decoded
from zoo.datasets.convert.places import Pictures, common_name, split_of_path
from zoo.errors import FormatError


def panoptic_samples(
    path: Path,
    document: dict,
    categories: Mapping[int, str],
    pictures: Pictures,
    settings: Settings,
    *,
    split,
) -> list[Sample]:
    """The pictures of a panoptic file. Pixels of no segment are unlabelled, which is `ignored` by default."""
    images = {key_of(row, "id"): row for row in entries(document["images"], path)}
    order = {key: position for position, key in enumerate(categories)}
    masks = Pictures(path.parent)
    samples = []
    for row in entries(document["annotations"], path):
        image = images.get(key_of(row, "image_id"))
        if image is None:
            settings.tally.add("annotations of no picture of their file", path.name)
            continue
        name = child(image, "file_name", str, path)
        mask = _mask(child(row, "file_name", str, path), path, masks, pictures)
        found = _other(pictures, name, path.parent, split, mask)
        if found is None or mask is None:
            settings.tally.add("annotations without their picture or mask", name, lost=True)
            continue
        segments = _segments(row, path, order, settings)
        samples.append(
            Sample(
                image=found,
                name=common_name(found, pictures.root),
                split=split or split_of_path(found, pictures.root),
                size=size_of(image.get("height"), image.get("width")),
                positions=lambda mask=mask, segments=segments: _positions(mask, segments),
                names=tuple(categories.values()),
            )
        )
    return samples


def _mask(name: str, path: Path, masks: Pictures, pictures: Pictures) -> Path | None:
    """In the folder that is named as the JSON file, where COCO has it, or anywhere below."""
    beside = path.with_suffix("") / Path(name).name
    return beside if beside.is_file() else masks.find(name, path.parent) or pictures.find(name, path.parent)


def _other(pictures: Pictures, name: str, near: Path, split: str | None, mask: Path | None) -> Path | None:
    found = pictures.find(name, near, split=split)
    return None if found is not None and found == mask else found


def _segments(row: dict, path: Path, order: Mapping[int, int], settings: Settings) -> dict[int, int]:
    segments = {0: UNLABELLED}
    for segment in entries(row.get("segments_info"), path):
        key, category = child(segment, "id", int, path), child(segment, "category_id", int, path)
        if category not in order:
            raise FormatError(f"{path}: a segment has the category {category}, which is not defined")
        segments[key] = order[category]
        if segment.get("iscrowd"):
            settings.tally.add(f"crowds, as {settings.crowd}", row.get("file_name"))
            segments[key] = {"ignore": IGNORED, "background": UNLABELLED}.get(settings.crowd, order[category])
    return segments


def _positions(mask: Path, segments: Mapping[int, int]) -> np.ndarray:
    pixels = np.asarray(decoded(mask).convert("RGB")).astype(np.uint32)
    codes = pixels @ np.array([1, 256, 65536], np.uint32)
    found, inverse = np.unique(codes, return_inverse=True)
    unknown = [int(code) for code in found if int(code) not in segments]
    if unknown:
        raise FormatError(f"{mask}: the segment {unknown[0]} is not in segments_info")
    return np.array([segments[int(code)] for code in found], np.int16)[inverse].reshape(codes.shape)
