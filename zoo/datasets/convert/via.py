"""VGG Image Annotator: the JSON of a project, or of its annotations, of versions 1 and 2.

Regions are painted in the order of the file, outlines by COCO's rule. The class is the one attribute that
regions have, or the one of several that is called so; regions of a file without attributes are one class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from zoo.datasets.convert import areas
from zoo.datasets.convert.documents import child, label_of, number, read_json
from zoo.datasets.convert.model import Area, Region, Sample, Settings, Source
from zoo.datasets.convert.places import Pictures, common_name, files_below, split_of, split_of_path
from zoo.errors import FormatError, InputError

_OPEN = ("polyline", "point")
_USUAL = ("class", "label", "name", "category", "type", "object")
ALONE = "object"  # class of regions without attributes


def read(root: Path, settings: Settings) -> Source:
    """Every JSON file of the annotator in a folder and those below; classes are in alphabetical order."""
    pictures = Pictures(root, images=settings.pictures)
    documents = [(path, document) for path in files_below(root, [".json"]) if (document := _rows_of(path))]
    if not documents:
        raise InputError(f"{root}: no JSON file of VGG Image Annotator, whose pictures have regions")
    attribute = _attribute(documents, root)
    samples: dict[Path, Sample] = {}
    for path, document in documents:
        for row in document:
            sample = _sample(row, path, root, pictures, attribute, settings)
            if sample is not None and samples.setdefault(_place(sample), sample) is not sample:
                raise InputError(f"{path}: {sample.name} is annotated twice")
    if attribute is None:
        settings.tally.add(f"files without attributes, whose regions are {ALONE!r}", count=len(documents))
    unused = pictures.unused()
    settings.tally.add("pictures without an annotation, left out", *unused[:1], count=len(unused))
    names = sorted({region.label for sample in samples.values() for region in sample.regions})
    return Source(names=tuple(names), samples=[*samples.values()])


def _place(sample: Sample) -> Path:
    return Path(str(sample.image))


def _rows_of(path: Path) -> list[dict]:
    """The pictures of a file; none of another kind of file."""
    document = read_json(path)
    if not isinstance(document, dict):
        return []
    held = document.get("_via_img_metadata", document)
    rows = list(held.values()) if isinstance(held, dict) else []
    alike = [row for row in rows if isinstance(row, dict) and {"filename", "regions"} <= row.keys()]
    return alike if len(alike) == len(rows) else []


def _regions_of(row: dict, path: Path) -> Iterator[dict]:
    """A list; in version 1 a mapping of numbers."""
    regions = row["regions"]
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise FormatError(f"{path}: regions are a list of mappings")
    yield from regions


def _attribute(documents: list[tuple[Path, list[dict]]], root: Path) -> str | None:
    """Name of the attribute that holds the class; `None` where no region has one."""
    found: dict[str, None] = {}
    for path, rows in documents:
        for row in rows:
            for region in _regions_of(row, path):
                found.update(dict.fromkeys(child(region, "region_attributes", dict, path, default={})))
    if len(found) < 2:
        return next(iter(found), None)
    usual = [name for name in found if name.casefold() in _USUAL]
    if len(usual) != 1:
        raise InputError(
            f"{root}: regions have the attributes {', '.join(map(repr, [*found][:8]))}; which one names the "
            "class? Keep that one, or call it 'class'"
        )
    return usual[0]


def _sample(
    row: dict, path: Path, root: Path, pictures: Pictures, attribute: str | None, settings: Settings
) -> Sample | None:
    name = child(row, "filename", str, path)
    found = pictures.find(name, path.parent, split=split_of(path.stem) or split_of_path(path, root))
    if found is None:
        settings.tally.add("annotations without their picture", name, lost=True)
        return None
    regions = [_region(region, f"{path}: {name}", attribute, settings) for region in _regions_of(row, path)]
    return Sample(
        image=found,
        name=common_name(found, pictures.root),
        split=split_of_path(found, pictures.root) or split_of(path.stem) or split_of_path(path, root),
        regions=tuple(region for region in regions if region is not None),
    )


def _region(region: dict, where: str, attribute: str | None, settings: Settings) -> Region | None:
    shape = child(region, "shape_attributes", dict, where)
    kind = shape.get("name")
    if kind in _OPEN:
        settings.tally.add(f"shapes without an area ({kind}), left out", where)
        return None
    area = _area(kind, shape, where)
    if area is None:
        settings.tally.add("shapes of too few points", where)
        return None
    if attribute is None:
        return Region(label=ALONE, area=area)
    value = child(region, "region_attributes", dict, where, default={}).get(attribute)
    if isinstance(value, dict):  # of boxes that are ticked
        ticked = [name for name, is_ticked in value.items() if is_ticked]
        if len(ticked) != 1:
            raise FormatError(f"{where}: a region has {len(ticked)} values of {attribute!r}; one is needed")
        value = ticked[0]
    return Region(label=label_of(value, f"{where}: {attribute}"), area=area)


def _area(kind: object, shape: dict, where: str) -> Area | None:
    def of(*keys: str) -> list[float]:
        return [number(shape.get(key), f"{where}: {key}") for key in keys]

    if kind == "polygon":
        columns, rows = (child(shape, key, list, where) for key in ("all_points_x", "all_points_y"))
        if len(columns) != len(rows):
            raise FormatError(f"{where}: a polygon of {len(columns)} columns and {len(rows)} rows")
        points = areas.points_of([[x, y] for x, y in zip(columns, rows, strict=True)])
        return areas.coco_polygons([points]) if len(points) > 2 else None
    if kind == "rect":
        left, top, width, height = of("x", "y", "width", "height")
        return areas.box(left, top, left + width, top + height)
    if kind == "circle":
        cx, cy, radius = of("cx", "cy", "r")
        return areas.ellipse((cx, cy), (radius, radius))
    if kind == "ellipse":
        cx, cy, rx, ry = of("cx", "cy", "rx", "ry")
        turned = math.degrees(number(shape.get("theta", 0), where))
        return areas.ellipse((cx, cy), (rx, ry), turned=turned)
    raise FormatError(f"{where}: the shape {str(kind)[:40]!r} is not known")
