"""Supervisely: ``meta.json``, and ``img`` and ``ann``, whose ``NAME.json`` belongs to the picture NAME.

Figures are painted in the order of the file. Coordinates are numbers of pixels, and pixels under an outline
belong (LabelMe's rule); pixels under the outline of a hole belong to the hole, as in its own tools.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.colors import hexadecimal
from zoo.datasets.convert import areas
from zoo.datasets.convert.documents import child, entries, label_of, read_json, size_of
from zoo.datasets.convert.model import Area, Region, Sample, Settings, Source, Tally
from zoo.datasets.convert.pictures import binary_mask, from_base64, inflated
from zoo.datasets.convert.places import Pictures, common_name, files_below, split_of, split_of_path
from zoo.errors import FormatError, InputError

_OPEN = ("point", "line", "polyline", "graph", "cuboid", "cuboid_2d", "alpha_mask")


def read(root: Path, settings: Settings) -> Source:
    """A project, or one of its data sets; classes are in the order of ``meta.json``, else of the alphabet."""
    pictures = Pictures(root, images=settings.pictures)
    palette, names, samples = {}, [], []
    for meta in files_below(root, ["meta.json"]):
        if meta.name != "meta.json":
            continue
        for row in entries(child(read_json(meta), "classes", list, meta), meta):
            names.append(label_of(row.get("title"), meta))
            color = hexadecimal(row.get("color"))
            if color is not None:
                palette.setdefault(names[-1], color)
    for path in files_below(root, [".json"]):
        if path.parent.name == "ann":
            sample = _sample(path, root, pictures, settings.tally)
            if sample is not None:
                samples.append(sample)
    if not samples and not settings.tally.lost:
        raise InputError(f"{root}: no folder ann/ with JSON files")
    found = sorted({region.label for sample in samples for region in sample.regions})
    unused = pictures.unused()
    settings.tally.add("pictures without an annotation, left out", *unused[:1], count=len(unused))
    return Source(names=tuple(dict.fromkeys([*names, *found])), samples=samples, palette=palette)


def _sample(path: Path, root: Path, pictures: Pictures, tally: Tally) -> Sample | None:
    document = read_json(path)
    # Older projects leave the picture's own suffix out of the name.
    near = path.parent.parent / "img"
    name = path.name.removesuffix(".json")
    found = pictures.find(name, near)
    if found is None:
        alike = [one for one in pictures.paths if one.parent == near and one.stem == name]
        found = alike[0] if len(alike) == 1 else None
        pictures.used.update(alike)
    if found is None:
        tally.add("annotations without their picture", common_name(path, root), lost=True)
        return None
    size = child(document, "size", dict, path, default={})
    regions = [_region(row, path, tally) for row in entries(child(document, "objects", list, path), path)]
    return Sample(
        image=found,
        name=common_name(found, pictures.root).replace("/img/", "/").removeprefix("img/"),
        split=split_of_path(path, root) or _tagged(document, path),
        size=size_of(size.get("height"), size.get("width")),
        regions=tuple(region for region in regions if region is not None),
    )


def _tagged(document: object, path: Path) -> str | None:
    tags = child(document, "tags", list, path, default=[])
    found = {split_of(row["name"]) for row in entries(tags, path) if isinstance(row.get("name"), str)} - {
        None
    }
    return found.pop() if len(found) == 1 else None


def _region(row: dict, path: Path, tally: Tally) -> Region | None:
    kind, label = row.get("geometryType"), label_of(row.get("classTitle"), path)
    if kind in _OPEN:
        tally.add(f"shapes without an area ({kind}), left out", path.name)
        return None
    try:
        area = _area(kind, row, path)
    except FormatError as error:
        raise FormatError(str(error) if str(path) in str(error) else f"{path}: {label}: {error}") from None
    if area is None:
        tally.add("shapes of too few points", path.name)
    return None if area is None else Region(label=label, area=area)


def _area(kind: object, row: dict, path: Path) -> Area | None:
    if kind == "bitmap":
        bitmap = child(row, "bitmap", dict, path)
        data = from_base64(child(bitmap, "data", str, path))
        origin = areas.corner_of([child(bitmap, "origin", list, path)])
        return lambda height, width: _bitmap(data, origin, height, width)
    points = child(row, "points", dict, path)
    outer = np.round(areas.points_of(child(points, "exterior", list, path)))
    if kind == "rectangle":
        return areas.drawn_rectangle(outer) if len(outer) == 2 else None
    if kind == "polygon":
        inner = [
            np.round(areas.points_of(ring)) for ring in child(points, "interior", list, path, default=[])
        ]
        return (
            areas.drawn_polygon(outer, [ring for ring in inner if len(ring) > 2]) if len(outer) > 2 else None
        )
    raise FormatError(f"the shape {str(kind)[:40]!r} is not known")


def _bitmap(data: bytes, origin: tuple[int, int], height: int, width: int):
    # A PNG of so few pixels takes no more than four bytes for each, and its head.
    packed = inflated(data, most=4 * height * width + (1 << 16))
    mask = binary_mask(packed, most=height * width)
    return areas.bitmap(mask, top=origin[1], left=origin[0])(height, width)
