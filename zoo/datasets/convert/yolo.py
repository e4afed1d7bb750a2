"""YOLO: lines of a class and a polygon in shares of the picture, one text file per picture.

Polygons are painted in the order of the lines, by COCO's rule. A picture without a text file, or with an
empty one, has nothing but background.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.convert import areas
from zoo.datasets.convert.coco import check_boxes
from zoo.datasets.convert.documents import label_of, number, read_text, read_yaml
from zoo.datasets.convert.model import NO_CLASS, Area, Region, Sample, Settings, Source
from zoo.datasets.convert.places import Pictures, common_name, first_existing, folder_below, split_of_path
from zoo.errors import FormatError, InputError

_FARTHEST = 2.0  # beyond it, coordinates are no shares of a picture
_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read(root: Path, settings: Settings) -> Source:
    """Pictures of all splits of ``data.yaml``; without it, every picture of the folder."""
    config, names = _config(root)
    pictures = Pictures(root, images=settings.pictures)
    samples, boxes, labelled = [], 0, 0
    for picture, split in _listed(root, config, pictures):
        text = _label_file(picture, pictures.root, root)
        regions: list[Region] = []
        if text is not None:
            labelled += 1
            lines, found = _regions(text, names, picture, settings)
            regions, boxes = lines, boxes + found
        else:
            settings.tally.add("pictures without a file of labels, all background", picture.name)
        samples.append(
            Sample(
                image=picture,
                name=common_name(picture, pictures.root),
                split=split or split_of_path(picture, pictures.root),
                regions=tuple(regions),
                upright=True,
            )
        )
    check_boxes(boxes, root, settings)
    if not labelled:
        raise InputError(f"{root}: no file of labels beside the pictures or in labels/ instead of images/")
    return Source(names=tuple(names), samples=samples)


def _config(root: Path) -> tuple[dict, list[str]]:
    """What data.yaml says, and the classes."""
    path = first_existing(root, ("data.yaml", "data.yml", "dataset.yaml"))
    if path is None:
        others = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
        path = others[0] if len(others) == 1 else None
    if path is not None:
        document = read_yaml(path)
        if not isinstance(document, dict):
            raise FormatError(f"{path}: a mapping with names was expected")
        if "kpt_shape" in document:
            raise InputError(f"{path}: key points (kpt_shape), whose numbers are no outline")
        return document, _names(document.get("names"), path)
    path = first_existing(root, ("classes.txt", "obj.names", "labels/classes.txt"))
    if path is None:
        raise InputError(f"{root}: the classes are not known: no data.yaml and no classes.txt")
    return {}, [label_of(line, path) for line in read_text(path).splitlines() if line.strip()]


def _names(value: object, path: Path) -> list[str]:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: number(key, path))
        if [int(number(key, path)) for key in keys] != list(range(len(keys))):
            raise FormatError(f"{path}: the numbers of names go from 0 to {len(keys) - 1} without a gap")
        value = [value[key] for key in keys]
    if not isinstance(value, list) or not value:
        raise FormatError(f"{path}: names is a list, or a mapping of numbers to names")
    names = [label_of(str(name), path) for name in value]
    if len(set(names)) < len(names):
        raise FormatError(f"{path}: a name occurs twice")
    return names


def _listed(root: Path, config: dict, pictures: Pictures) -> list[tuple[Path, str | None]]:
    found: dict[Path, str | None] = {}
    # Small data sets are often listed as both: they have no parts.
    train = config.get("train")
    whole = train and train == config.get("val", config.get("valid")) and config.get("test") in (None, train)
    for key, split in _KEYS.items():
        value, split = config.get(key), None if whole else split
        for text in value if isinstance(value, list) else [value]:
            place = folder_below(root, text) if isinstance(text, str) and text.strip(" ./") else None
            for path in _pictures_of(place, pictures, root):
                if found.setdefault(path, split) != split:
                    raise InputError(f"{root}: {path.name} is in the splits {found[path]} and {split}")
    return [*found.items()] if found else [(path, None) for path in pictures.paths]


def _pictures_of(place: Path | None, pictures: Pictures, root: Path) -> list[Path]:
    if place is None:
        return []
    if place.is_dir():
        return [path for path in pictures.paths if place in path.parents]
    lines = [line.strip() for line in read_text(place).splitlines() if line.strip()]
    found = [pictures.find(line, place.parent) for line in lines]
    if None in found:
        raise InputError(f"{place}: {lines[found.index(None)]}: no such picture below {root}")
    return [path for path in found if path is not None]


def _label_file(picture: Path, images: Path, root: Path) -> Path | None:
    """``labels`` in place of the last ``images`` of the path, else beside the picture."""
    relative = picture.relative_to(images)
    parts = [*relative.parts]
    candidates = []
    for at in reversed(range(len(parts) - 1)):
        if parts[at] == "images":
            candidates.append(Path(*parts[:at], "labels", *parts[at + 1 :]))
            break
    candidates += [relative, Path("labels", relative)]
    for candidate in candidates:
        path = (root / candidate).with_suffix(".txt")
        if path.is_file():
            return path
    return None


def _regions(path: Path, names: list[str], picture: Path, settings: Settings) -> tuple[list[Region], int]:
    """The regions of a file, and how many of them are boxes."""
    regions, boxes = [], 0
    for row, line in enumerate(read_text(path).splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        where = f"{path}: line {row}"
        values = np.array([number(cell, where) for cell in cells])
        index, shares = values[0], values[1:]
        if index != int(index) or not 0 <= index < len(names):
            raise FormatError(f"{where}: the class {cells[0][:20]}, where there are {len(names)}")
        if len(shares) < 4 or (len(shares) != 4 and len(shares) % 2):
            raise FormatError(f"{where}: a class and pairs of coordinates were expected")
        if np.abs(shares).max() > _FARTHEST:
            raise FormatError(
                f"{where}: the coordinate {np.abs(shares).max():g} is no share of the picture's size"
            )
        if shares.min() < 0 or shares.max() > 1:
            settings.tally.add("shapes that reach out of their picture, cut off", picture.name)
        label = names[int(index)]
        if len(shares) == 4:
            boxes += 1
            cx, cy, width, height = shares
            left, top, right, bottom = cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2
            shares = np.array([left, top, right, top, right, bottom, left, bottom])
            label = NO_CLASS if settings.boxes == "ignore" else label
        regions.append(Region(label=label, area=_scaled(shares.reshape(-1, 2))))
    return regions, boxes


def _scaled(points: np.ndarray) -> Area:
    return lambda height, width: areas.coco_polygons([points * (width, height)])(height, width)
