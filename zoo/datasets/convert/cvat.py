"""CVAT: ``annotations.xml`` of "CVAT for images", or the folders of "Segmentation mask".

Shapes are painted by their ``z_order``, then in the order of the file, polygons by COCO's rule, as CVAT's own
exports of masks do. Classes are in the order of the task's labels.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from zoo.datasets.colors import hexadecimal
from zoo.datasets.convert import areas, color_masks
from zoo.datasets.convert.documents import label_of, number, read_xml, size_of
from zoo.datasets.convert.model import Area, Region, Sample, Settings, Source, Tally
from zoo.datasets.convert.places import Pictures, common_name, files_below, split_of, split_of_path
from zoo.datasets.convert.runs import row_mask
from zoo.errors import FormatError, InputError

_OPEN = ("polyline", "points", "cuboid", "skeleton")


def read(root: Path, settings: Settings) -> Source:
    """Either of the two exports."""
    documents = [(path, read_xml(path)) for path in files_below(root, [".xml"])]
    documents = [(path, document) for path, document in documents if document.tag == "annotations"]
    if not documents:
        if (root / "SegmentationClass").is_dir():
            return color_masks.read(root, settings)
        raise InputError(f"{root}: neither annotations.xml of CVAT for images nor SegmentationClass/")
    pictures = Pictures(root, images=settings.pictures)
    names: dict[str, None] = {}
    palette, samples = {}, []
    for path, document in documents:
        if document.find("track") is not None:
            raise InputError(f"{path}: tracks of a video; export the task as 'CVAT for images'")
        for element in document.findall("./meta//labels/label"):
            name = label_of(element.findtext("name"), path)
            names.setdefault(name)
            color = hexadecimal(element.findtext("color"))
            if color is not None:
                palette.setdefault(name, color)
        for element in document.findall("image"):
            sample = _sample(element, path, root, pictures, settings.tally)
            if sample is not None:
                samples.append(sample)
                names.update(dict.fromkeys(region.label for region in sample.regions))
    unused = pictures.unused()
    settings.tally.add("pictures without an annotation, left out", *unused[:1], count=len(unused))
    return Source(names=tuple(names), samples=samples, palette=palette)


def _sample(element: Element, path: Path, root: Path, pictures: Pictures, tally: Tally) -> Sample | None:
    name, subset = element.get("name", ""), element.get("subset", "")
    split = split_of(subset)
    found = pictures.find(name, path.parent, split=split)
    if found is None:
        tally.add("annotations without their picture", name, lost=True)
        return None
    ordered: list[tuple[float, Region]] = []
    for shape in element:
        region = _region(shape, path, name, tally)
        if region is not None:
            ordered.append((number(shape.get("z_order", "0"), path), region))
    height, width = (int(number(element.get(key, "0"), path)) for key in ("height", "width"))
    return Sample(
        image=found,
        name=common_name(found, pictures.root),
        split=split or split_of_path(found, pictures.root) or split_of_path(path, root),
        size=size_of(height, width),
        regions=tuple(region for _, region in sorted(ordered, key=lambda pair: pair[0])),
    )


def _region(shape: Element, path: Path, name: str, tally: Tally) -> Region | None:
    if shape.tag in _OPEN:
        tally.add(f"shapes without an area ({shape.tag}), left out", name)
    if shape.tag in _OPEN or shape.tag == "tag":
        return None
    try:
        area = _area(shape, f"{path}: {name}")
    except FormatError as error:
        raise FormatError(str(error) if str(path) in str(error) else f"{path}: {name}: {error}") from None
    if area is None:
        tally.add("shapes of too few points", name)
        return None
    return Region(label=label_of(shape.get("label"), path), area=area)


def _area(shape: Element, where: str) -> Area | None:
    def of(*keys: str) -> list[float]:
        return [number(shape.get(key), f"{where}: {key}") for key in keys]

    turned = number(shape.get("rotation", "0"), where)
    if shape.tag == "polygon":
        text = shape.get("points", "")
        points = areas.points_of(
            [[number(part, where) for part in pair.split(",")] for pair in text.split(";")]
        )
        return areas.coco_polygons([points]) if len(points) > 2 else None
    if shape.tag == "box":
        return areas.box(*of("xtl", "ytl", "xbr", "ybr"), turned=turned)
    if shape.tag == "ellipse":
        cx, cy, rx, ry = of("cx", "cy", "rx", "ry")
        return areas.ellipse((cx, cy), (rx, ry), turned=turned)
    if shape.tag == "mask":
        left, top, width, height = (int(value) for value in of("left", "top", "width", "height"))
        try:
            counts = [int(part) for part in shape.get("rle", "").split(",")]
        except ValueError:
            raise FormatError("run lengths are whole numbers with commas") from None
        return lambda rows, columns: _mask(counts, (left, top, width, height), rows, columns)
    raise FormatError(f"the shape {shape.tag[:40]!r} is not known")


def _mask(counts: list[int], box: tuple[int, int, int, int], rows: int, columns: int):
    left, top, width, height = box
    if not (left >= 0 and top >= 0 and 0 < width <= columns - left and 0 < height <= rows - top):
        raise FormatError(f"a mask of {width}x{height} at {left}, {top} in a picture of {columns}x{rows}")
    return areas.bitmap(np.asarray(row_mask(counts, height, width)), top=top, left=left)(rows, columns)
