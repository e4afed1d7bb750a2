"""Label Studio's JSON exports: brushes (its own RLE), and outlines in per cent of the picture.

Regions are painted in the order of the result, outlines by COCO's rule. A task without an annotation is left
out, one with an empty annotation is all background. Of several annotations the one that is marked as ground
truth counts; where none is, they are asked about.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.convert import areas
from zoo.datasets.convert.documents import entries, key_of, label_of, number, read_json, size_of
from zoo.datasets.convert.model import Area, Region, Sample, Settings, Source
from zoo.datasets.convert.places import Pictures, common_name, files_below, path_parts, split_of_path
from zoo.datasets.convert.runs import label_studio_mask
from zoo.errors import FormatError, InputError

_LABELS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels", "labels")
_OPEN = ("keypointlabels", "keypoint", "choices", "textarea", "rating", "taxonomy", "number", "relation")


def read(root: Path, settings: Settings) -> Source:
    """The tasks of every JSON and JSON-MIN export in a folder; classes are in alphabetical order."""
    pictures = Pictures(root, images=settings.pictures)
    samples, tasks = [], 0
    for path in files_below(root, [".json"]):
        document = read_json(path)
        if not isinstance(document, list):
            settings.tally.add("JSON files that are no list of tasks, left out", path.name)
            continue
        for task in entries(document, path):
            tasks += 1
            sample = _sample(task, path, root, pictures, settings)
            if sample is not None:
                samples.append(sample)
    if not tasks and next(root.rglob("task-*-annotation-*"), None):
        raise InputError(
            f"{root}: masks as PNG or NumPy files, which do not say of which picture they are; export JSON, "
            "which has the brushes too"
        )
    if not tasks:
        raise InputError(f"{root}: no JSON export of Label Studio, a list of tasks")
    names = sorted({region.label for sample in samples for region in sample.regions})
    return Source(names=tuple(names), samples=samples)


def _sample(task: dict, path: Path, root: Path, pictures: Pictures, settings: Settings) -> Sample | None:
    name, results = _name(task, path), _results(task, path)
    if results is None:
        settings.tally.add("tasks without an annotation, left out", name)
        return None
    found = _picture(name, path, pictures)
    if found is None:
        settings.tally.add("annotations without their picture", name, lost=True)
        return None
    labels = {key_of(row, "id"): _label(row) for row in results if _label(row) is not None}
    regions, size = [], None
    for row in results:
        where = f"{path}: {name}"
        region = _region(row, labels, where, settings)
        if region is not None:
            stated = size_of(row.get("original_height"), row.get("original_width"))
            if size not in (None, stated):
                raise FormatError(f"{where}: regions for pictures of two sizes")
            regions.append(region)
            size = stated
    return Sample(
        image=found,
        name=common_name(found, pictures.root),
        split=split_of_path(found, pictures.root),
        size=size,
        regions=tuple(regions),
        upright=True,
    )


def _name(task: dict, path: Path) -> str:
    inner = task.get("data")
    data = inner if isinstance(inner, dict) else task
    texts = [
        value
        for key, value in data.items()
        if isinstance(value, str) and key not in ("created_at", "updated_at")
    ]
    preferred = data.get("image")
    for text in [preferred, *texts]:
        if isinstance(text, str) and ("/" in text or "\\" in text or "." in text) and path_parts(text):
            return text
    raise FormatError(f"{path}: a task without the path of a picture")


def _picture(name: str, path: Path, pictures: Pictures) -> Path | None:
    # Local files are named in the query; uploads have eight digits before their name.
    text = name.partition("?d=")[2] or name
    found = pictures.find(text, path.parent)
    if found is None:
        last = (path_parts(text) or [""])[-1]
        prefix, dash, rest = last.partition("-")
        if dash and len(prefix) == 8 and rest:
            found = pictures.find(rest, path.parent)
    return found


def _results(task: dict, path: Path) -> list[dict] | None:
    """The results of the annotation that counts."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        return _flat(task, path)
    kept = [row for row in entries(annotations, path) if not row.get("was_cancelled")]
    if len(kept) > 1:
        truth = [row for row in kept if row.get("ground_truth")]
        if len(truth) != 1:
            raise InputError(
                f"{path}: task {str(task.get('id'))[:40]} has {len(kept)} annotations; mark one of them as "
                "ground "
                "truth, or delete the others"
            )
        kept = truth
    return list(entries(kept[0].get("result"), path)) if kept else None


def _flat(task: dict, path: Path) -> list[dict] | None:
    """JSON-MIN: the values of each tag beside the data."""
    found = []
    for key, value in task.items():
        rows = value if isinstance(value, list) else []
        for number_of, row in enumerate(rows):
            if isinstance(row, dict) and ("original_width" in row or set(row) & set(_LABELS)):
                kind = next((name for name in _LABELS if name in row), "")
                found.append({**row, "type": kind, "value": row, "id": f"{key} {number_of}"})
    return found or (None if "annotation_id" not in task else [])


def _label(row: dict) -> list | None:
    value = row.get("value")
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in _LABELS if isinstance(value.get(name), list) and value[name]), None)


def _region(row: dict, labels: dict, where: str, settings: Settings) -> Region | None:
    kind, value = row.get("type"), row.get("value")
    if kind in _OPEN or not isinstance(value, dict):
        settings.tally.add(f"results without an area ({str(kind)[:40]}), left out", where)
        return None
    area = _area(value, where, size_of(row.get("original_height"), row.get("original_width")))
    if area is None:
        return None
    names = _label(row) or labels.get(key_of(row, "id"))
    if not names or len(names) != 1:
        raise FormatError(f"{where}: a region has {len(names or [])} labels; one is needed")
    if number(row.get("image_rotation", 0), where):
        raise FormatError(f"{where}: a picture that was turned while it was labelled; save it turned")
    return Region(label=label_of(names[0], where), area=area)


def _area(value: dict, where: str, size: tuple[int, int] | None) -> Area | None:
    if "rle" in value:
        if size is None:
            raise FormatError(f"{where}: a brush without original_width and original_height")
        data = value["rle"]
        return lambda height, width: areas.bitmap(label_studio_mask(data, *size))(height, width)
    if "points" in value:
        points = areas.points_of(value["points"]) / 100
        return _scaled(points) if len(points) > 2 else None
    keys = ("x", "y", "width", "height") if "width" in value else ("x", "y", "radiusX", "radiusY")
    if not set(keys) <= set(value):
        return None
    x, y, across, down = (number(value[key], where) / 100 for key in keys)
    turned = number(value.get("rotation", 0), where)
    if keys[2] == "width":
        return lambda height, width: _rectangle(
            (x * width, y * height), (across * width, down * height), turned
        )(height, width)
    return lambda height, width: areas.ellipse(
        (x * width, y * height), (across * width, down * height), turned=turned
    )(height, width)


def _scaled(points: np.ndarray) -> Area:
    return lambda height, width: areas.coco_polygons([points * (width, height)])(height, width)


def _rectangle(corner: tuple[float, float], extent: tuple[float, float], degrees: float) -> Area:
    """Turned clockwise around its first corner, as Label Studio does."""
    angle = np.radians(degrees)
    across = np.array([np.cos(angle), np.sin(angle)]) * extent[0]
    down = np.array([-np.sin(angle), np.cos(angle)]) * extent[1]
    first = np.array(corner)
    return areas.coco_polygons([np.stack([first, first + across, first + across + down, first + down])])
