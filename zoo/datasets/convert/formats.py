"""The table of formats, and the choices that a conversion leaves open; imported without NumPy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.datasets.convert.model import Settings, Source

# Name on the command line → module with `read(root, settings)`, and what is read.
FORMATS: Mapping[str, tuple[str, str]] = {
    "coco": ("coco", "JSON files with images, annotations and categories: polygons, RLE, panoptic"),
    "labelme": ("labelme", "one JSON file beside each picture"),
    "cvat": ("cvat", "annotations.xml (CVAT for images), or labelmap.txt and SegmentationClass/"),
    "yolo": ("yolo", "data.yaml, images/ and labels/ with polygons"),
    "supervisely": ("supervisely", "meta.json and folders with img/ and ann/"),
    "roboflow": ("roboflow", "_classes.csv beside pictures and their *_mask.png"),
    "label-studio": ("label_studio", "JSON export with brushes or polygons, and the pictures"),
    "via": ("via", "JSON of VGG Image Annotator, and the pictures"),
    "parquet": ("parquet", "Hugging Face: *.parquet with a column of pictures and one of masks"),
    "colors": ("color_masks", "images/ and masks/ in colours, with a table such as labelmap.txt"),
}

CHOICES: Mapping[str, tuple[str, ...]] = {
    "unlabelled": ("background", "ignore"),
    "crowd": ("ignore", "class", "background"),
    "overlap": ("last", "smallest", "ignore"),
    "empty": ("background", "ignore", "skip"),
    "boxes": ("fill", "ignore"),
    "exif": ("apply", "raw"),
}


def reader_of(format: str) -> Callable[[Path, Settings], Source]:
    """The function that reads a format, or an `InputError` that lists the known ones."""
    name = str(format).lower().replace("_", "-")
    if name not in FORMATS:
        raise InputError(
            f"unknown format {format!r}; known: {', '.join(FORMATS)}. V7 (Darwin) and many others export COCO"
        )
    return importlib.import_module(f"zoo.datasets.convert.{FORMATS[name][0]}").read
