"""COCO: JSON files with images, annotations and categories, and panoptic ones with a PNG for each picture.

Objects are painted in the order of the file. Classes are in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from zoo.datasets.convert import areas
from zoo.datasets.convert.coco_panoptic import panoptic_samples
from zoo.datasets.convert.documents import child, entries, key_of, label_of, number, read_json, size_of
from zoo.datasets.convert.model import NO_CLASS, Area, Region, Sample, Settings, Source, Tally
from zoo.datasets.convert.places import Pictures, common_name, files_below, split_of, split_of_path
from zoo.datasets.convert.runs import coco_mask
from zoo.errors import FormatError, InputError


@dataclass
class _Image:
    """A picture of one or several files."""

    path: Path
    size: tuple[int, int] | None
    split: str | None
    regions: list[Region] = field(default_factory=list)


def read(root: Path, settings: Settings) -> Source:
    """All annotation files in a folder and below; objects of a picture in several files come together."""
    documents = _documents(root, settings.tally)
    pictures = Pictures(root, images=settings.pictures)
    names: dict[str, None] = {}
    images: dict[Path, _Image] = {}
    samples: list[Sample] = []
    for path, document in documents:
        split = split_of(path.stem) or split_of_path(path, root)
        categories = _categories(document, path, settings.tally)
        names.update(dict.fromkeys(categories.values()))
        if _is_panoptic(document):
            samples += panoptic_samples(path, document, categories, pictures, settings, split=split)
            continue
        listed = _images(path, document, pictures, images, settings.tally, split)
        _annotations(path, document, categories, listed, settings)
    panoptic = bool(samples)
    if panoptic and images:
        raise InputError(f"{root}: files of objects and panoptic ones; give a folder with one kind of them")
    samples += [_sample(image, pictures) for image in images.values()]
    unused = [] if panoptic else pictures.unused()
    settings.tally.add("pictures that no annotation file lists, left out", *unused[:1], count=len(unused))
    return Source(names=tuple(names), samples=samples, unlabelled="ignore" if panoptic else "background")


def _sample(image: _Image, pictures: Pictures) -> Sample:
    return Sample(
        image=image.path,
        name=common_name(image.path, pictures.root),
        split=image.split,
        size=image.size,
        regions=tuple(image.regions),
    )


def _documents(root: Path, tally: Tally) -> list[tuple[Path, dict]]:
    found = []
    for path in files_below(root, [".json"]):
        document = read_json(path)
        if isinstance(document, dict) and {"images", "annotations", "categories"} <= document.keys():
            found.append((path, document))
        else:
            tally.add("JSON files without images, annotations and categories, left out", path.name)
    plain = [(path, document) for path, document in found if not _has_keypoints(document)]
    if plain:
        tally.add("files of keypoints, left out", count=len(found) - len(plain))
        return plain
    if not found:
        raise InputError(f"{root}: no JSON file with images, annotations and categories")
    return found


def _has_keypoints(document: dict) -> bool:
    categories = document["categories"]
    return isinstance(categories, list) and any(
        isinstance(c, dict) and c.get("keypoints") for c in categories
    )


def _is_panoptic(document: dict) -> bool:
    annotations = document["annotations"]
    return isinstance(annotations, list) and any(
        isinstance(a, dict) and "segments_info" in a for a in annotations
    )


def _categories(document: dict, path: Path, tally: Tally) -> dict[int, str]:
    """Names by id, in the order of the ids."""
    rows = list(entries(document["categories"], path))
    above = {key_of(row, "supercategory") for row in rows if row.get("supercategory") != row.get("name")}
    used = {key_of(row, "category_id") for row in entries(document["annotations"], path)}
    found: dict[int, str] = {}
    for row in sorted(rows, key=lambda row: child(row, "id", int, path)):
        key, name = child(row, "id", int, path), label_of(row.get("name"), path)
        if key in found and found[key] != name:
            raise FormatError(f"{path}: the category {key} is {found[key]!r} and {name!r}")
        if row.get("supercategory") == "none" and name in above and key not in used:
            tally.add("categories that only head others, left out", name)
            continue
        found[key] = name
    return found


def _images(path, document, pictures: Pictures, images: dict[Path, _Image], tally: Tally, split) -> dict:
    """The pictures of a file by their ids; `None` where the file is not there."""
    listed: dict[object, _Image | None] = {}
    for row in entries(document["images"], path):
        key, name = key_of(row, "id"), child(row, "file_name", str, path)
        if key is None or key in listed:
            raise FormatError(f"{path}: the image id {str(key)[:40]!r} is none, or occurs twice")
        found = pictures.find(name, path.parent, split=split)
        if found is None:
            tally.add("annotations without their picture", name, lost=True)
            listed[key] = None
            continue
        size = size_of(row.get("height"), row.get("width"))
        part = split or split_of_path(found, pictures.root)
        image = images.setdefault(found, _Image(found, size, part))
        if image.split != part:
            raise InputError(f"{path}: {name} is in the splits {image.split} and {part}")
        listed[key] = image
    return listed


def _annotations(path: Path, document: dict, categories, listed, settings: Settings) -> None:
    boxes = 0
    for row in entries(document["annotations"], path):
        key, category = key_of(row, "image_id"), key_of(row, "category_id")
        if key is None or key not in listed:
            settings.tally.add("annotations of no picture of their file", path.name)
            continue
        if not isinstance(category, int) or category not in categories:
            raise FormatError(
                f"{path}: an annotation has the category {str(category)[:40]!r}, which is not defined"
            )
        image = listed[key]
        try:
            area = _area(row, image, settings)
        except FormatError as error:
            raise FormatError(f"{path}: annotation {str(row.get('id'))[:40]}: {error}") from None
        label, crowd = categories[category], bool(row.get("iscrowd"))
        if area is None and isinstance(row.get("bbox"), list) and not row.get("segmentation"):
            boxes += 1
            area = _box(row["bbox"], path)
            label = NO_CLASS if settings.boxes == "ignore" else label
        if area is None:
            settings.tally.add("shapes of too few points", path.name)
        elif image is not None:
            image.regions.append(Region(label=label, area=area, crowd=crowd))
    check_boxes(boxes, path, settings)


def check_boxes(count: int, path: Path, settings: Settings) -> None:
    """Objects with a box alone are no masks, unless the caller says what they are."""
    if count and settings.boxes is None:
        raise InputError(
            f"{path}: {count} objects have a box and no outline, which is no mask: --boxes fill takes "
            "the whole "
            "box for the class, --boxes ignore leaves its pixels out"
        )
    settings.tally.add(f"boxes without an outline, as {settings.boxes}", path.name, count=count)


def _area(row: dict, image: _Image | None, settings: Settings) -> Area | None:
    shape = row.get("segmentation")
    if isinstance(shape, dict):
        height, width = _size(shape.get("size"))
        counts = shape.get("counts")
        return lambda rows, columns: _runs(counts, height, width, rows, columns)
    if not isinstance(shape, list) or not shape:
        return None
    rings = [areas.points_of(ring) for ring in ([shape] if not isinstance(shape[0], list) else shape)]
    rings = [ring for ring in rings if len(ring) > 2]
    if image is not None and image.size and any(areas.leaves(ring, *image.size) for ring in rings):
        settings.tally.add("shapes that reach out of their picture, cut off", image.path.name)
    return areas.coco_polygons(rings) if rings else None


def _runs(counts: object, height: int, width: int, rows: int, columns: int):
    if (height, width) != (rows, columns):
        raise FormatError(f"runs for {width}x{height} pixels in a picture of {columns}x{rows}")
    return areas.bitmap(coco_mask(counts, height, width))(rows, columns)


def _size(value: object) -> tuple[int, int]:
    size = size_of(*value) if isinstance(value, list) and len(value) == 2 else None
    if size is None:
        raise FormatError("runs have a size of height and width")
    return size


def _box(values: list, path: Path) -> Area:
    if len(values) != 4:
        raise FormatError(f"{path}: a box has four numbers, not {len(values)}")
    left, top, width, height = (number(value, path) for value in values)
    return areas.box(left, top, left + width, top + height)
