"""LabelMe: a JSON file beside each picture; shapes are drawn as its own converter draws them, in their order.

Coordinates are those of the picture as EXIF turns it, which LabelMe applies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.convert import areas
from zoo.datasets.convert.documents import child, entries, label_of, read_json, size_of
from zoo.datasets.convert.model import Area, Region, Sample, Settings, Source
from zoo.datasets.convert.pictures import binary_mask, from_base64
from zoo.datasets.convert.places import Pictures, common_name, files_below, path_parts, split_of_path
from zoo.errors import FormatError, InputError


def read(root: Path, settings: Settings) -> Source:
    """Every JSON file with ``shapes`` in a folder and those below; classes are in alphabetical order."""
    pictures = Pictures(root, images=settings.pictures)
    samples, tally = [], settings.tally
    for path in files_below(root, [".json"]):
        document = read_json(path)
        if not isinstance(document, dict) or "shapes" not in document:
            tally.add("JSON files without shapes, left out", common_name(path, root))
            continue
        sample = _sample(path, document, root, pictures, settings)
        if sample is None:
            tally.add("annotations without their picture", common_name(path, root), lost=True)
        else:
            samples.append(sample)
    if not samples and not tally.lost:
        raise InputError(f"{root}: no JSON file of LabelMe, which has shapes and imagePath")
    unused = pictures.unused()
    tally.add("pictures without an annotation, left out", *unused[:1], count=len(unused))
    names = sorted({region.label for sample in samples for region in sample.regions})
    return Source(names=tuple(names), samples=samples)


def _sample(path: Path, document: dict, root: Path, pictures: Pictures, settings: Settings) -> Sample | None:
    text = child(document, "imagePath", str, path, default="")
    found = pictures.find(text, path.parent)
    image: Path | bytes | None = found
    name = common_name(path.with_name(found.name), root) if found else path.relative_to(root).as_posix()
    if found is None and document.get("imageData") is not None:
        image = from_base64(child(document, "imageData", str, path))
        settings.tally.add("pictures taken from inside their annotation", common_name(path, root))
        name = path.relative_to(root).with_name((path_parts(text) or [path.stem])[-1]).as_posix()
    if image is None:
        return None
    regions = [_region(shape, path, settings) for shape in entries(document["shapes"], path)]
    return Sample(
        image=image,
        name=name,
        split=split_of_path(path, root) or (split_of_path(found, pictures.root) if found else None),
        size=size_of(document.get("imageHeight"), document.get("imageWidth")),
        regions=tuple(region for region in regions if region is not None),
        upright=True,
    )


def _region(shape: dict, path: Path, settings: Settings) -> Region | None:
    label = label_of(shape.get("label"), path)
    kind = shape.get("shape_type") or "polygon"
    try:
        points = areas.points_of(shape.get("points"))
        area = _area(kind, points, shape, path)
    except FormatError as error:
        raise FormatError(f"{path}: {label}: {error}") from None
    if area is None:
        settings.tally.add(f"shapes of too few points ({kind})", path.name)
    elif kind in ("point", "points", "line", "linestrip"):
        settings.tally.add("points and lines, drawn as LabelMe draws them", path.name)
    return None if area is None else Region(label=label, area=area)


def _area(kind: object, points: np.ndarray, shape: dict, path: Path) -> Area | None:
    count = len(points)
    if kind in ("polygon", "oriented_rectangle", "rotation"):
        return areas.drawn_polygon(points) if count > 2 else None
    if kind == "rectangle":
        return areas.drawn_rectangle(points) if count >= 2 else None
    if kind == "circle":
        radius = float(np.hypot(*(points[0] - points[1]))) if count == 2 else 0.0
        return areas.drawn_circle(points[0], radius) if count == 2 else None
    if kind in ("line", "linestrip"):
        return areas.drawn_line(points) if count >= 2 else None
    if kind in ("point", "points"):
        return _points(points) if count else None
    if kind == "mask":
        if count < 1:
            return None
        data = from_base64(child(shape, "mask", str, path))
        left, top = areas.corner_of(points[:2])
        return lambda height, width: areas.bitmap(binary_mask(data, most=height * width), top=top, left=left)(
            height, width
        )
    raise FormatError(f"the shape type {str(kind)[:40]!r} is not known")


def _points(points: np.ndarray) -> Area:
    discs = [areas.drawn_point(point) for point in points]
    return lambda height, width: areas.united([disc(height, width) for disc in discs], height, width)
