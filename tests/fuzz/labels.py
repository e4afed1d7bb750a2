"""The readers of annotation tools under fuzzing: a small, valid data set whose one file is the input.

The first byte of an input picks the file, so that one target serves several readers: texts (JSON, XML, YAML,
lists of labels, tables of colours) and packed masks and pictures inside of an intact document.
"""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support import label_tools
from support.label_tools import HEIGHT, WIDTH, picture, write_json


@dataclass(frozen=True)
class Slot:
    """A place for the input in a data set.

    Attributes:
        name: Of the seed in the corpus.
        format: As `zoo dataset convert` names it.
        make: Writes the data set.
        file: The one that the input becomes.
        packed: Makes its content of the input.
    """

    name: str
    format: str
    make: Callable[[Path], Path]
    file: str
    packed: Callable[[bytes], bytes] = bytes


def _labelme(**changes: object) -> Callable[[Path], Path]:
    shape = {"label": "car", "points": [[3, 4], [8, 7]], "shape_type": "mask", "mask": ""}
    document = {"imagePath": "a.jpg", "imageData": None, "shapes": [shape], "imageHeight": HEIGHT}

    def make(root: Path) -> Path:
        picture(root / "a.jpg")
        write_json(root / "a.json", document | {"imageWidth": WIDTH} | changes)
        return root

    return make


def _embedded(data: bytes) -> bytes:
    shape = {"label": "car", "points": [[0, 0], [2, 0], [2, 2]]}
    text = base64.b64encode(data).decode()
    return json.dumps({"imagePath": "none.jpg", "imageData": text, "shapes": [shape]}).encode()


def _mask_of_a_shape(data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    shape = {"label": "car", "points": [[3, 4], [8, 7]], "shape_type": "mask", "mask": text}
    return json.dumps({"imagePath": "a.jpg", "shapes": [shape]}).encode()


def _bitmap(data: bytes) -> bytes:
    bitmap = {"data": base64.b64encode(data).decode(), "origin": [3, 4]}
    figure = {"classTitle": "car", "geometryType": "bitmap", "bitmap": bitmap}
    return json.dumps({"size": {"height": HEIGHT, "width": WIDTH}, "objects": [figure]}).encode()


def _deflated_bitmap(data: bytes) -> bytes:
    return _bitmap(zlib.compress(data))


def _brush(data: bytes) -> bytes:
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    value = {"format": "rle", "rle": [*data], "brushlabels": ["car"]}
    result = [size | {"id": "c", "type": "brushlabels", "value": value}]
    return json.dumps([{"data": {"image": "a.jpg"}, "annotations": [{"result": result}]}]).encode()


def _runs(data: bytes) -> bytes:
    shapes = [{"size": [HEIGHT, WIDTH], "counts": data.decode("latin-1")}, label_tools.polygons()[1]]
    return json.dumps(label_tools.coco_document(["a"], shapes)).encode()


_TRAIN = "annotations/instances_train2017.json"
TEXTS = (
    Slot("coco", "coco", label_tools.coco, _TRAIN),
    Slot("panoptic", "coco", label_tools.panoptic, "annotations/panoptic_train2017.json"),
    Slot("labelme", "labelme", label_tools.labelme, "train/a.json"),
    Slot("cvat", "cvat", label_tools.cvat, "annotations.xml"),
    Slot("supervisely", "supervisely", label_tools.supervisely, "train/ann/a.jpg.json"),
    Slot("supervisely_meta", "supervisely", label_tools.supervisely, "meta.json"),
    Slot("label_studio", "label-studio", label_tools.label_studio, "project-1.json"),
    Slot("via", "via", label_tools.via, "train/via_region_data.json"),
    Slot("yolo", "yolo", label_tools.yolo, "train/labels/a.txt"),
    Slot("yolo_names", "yolo", label_tools.yolo, "data.yaml"),
)
TABLES = (
    Slot("labelmap", "cvat", label_tools.cvat_masks, "labelmap.txt"),
    Slot("list", "cvat", label_tools.cvat_masks, "ImageSets/Segmentation/train.txt"),
    Slot("csv", "colors", label_tools.color_folder, "colors.csv"),
    Slot("json", "colors", label_tools.colors_in_json, "colors.json"),
    Slot("roboflow", "roboflow", label_tools.roboflow, "train/_classes.csv"),
    Slot("id2label", "parquet", label_tools.parquet, "id2label.json"),
)
PACKED = (
    Slot("runs", "coco", label_tools.coco, _TRAIN, _runs),
    Slot("panoptic", "coco", label_tools.panoptic, "annotations/panoptic_train2017/a.png"),
    Slot("embedded", "labelme", _labelme(), "a.json", _embedded),
    Slot("mask", "labelme", _labelme(), "a.json", _mask_of_a_shape),
    Slot("bitmap", "supervisely", label_tools.supervisely, "train/ann/a.jpg.json", _bitmap),
    Slot("inflated", "supervisely", label_tools.supervisely, "train/ann/a.jpg.json", _deflated_bitmap),
    Slot("brush", "label-studio", label_tools.label_studio, "project-1.json", _brush),
    Slot("colors", "colors", label_tools.color_folder, "masks/a.png"),
    Slot("parquet", "parquet", label_tools.parquet, "data/train-00000-of-00001.parquet"),
)


def read_texts(path: Path) -> object:
    """An annotation file."""
    return _converted(path, TEXTS)


def read_tables(path: Path) -> object:
    """A table of classes or colours, or a list."""
    return _converted(path, TABLES)


def read_packed(path: Path) -> object:
    """A mask or picture as an annotation file packs it."""
    return _converted(path, PACKED)


def _converted(path: Path, slots: tuple[Slot, ...]) -> object:
    from zoo.datasets.convert import convert
    from zoo.errors import FormatError, ZooError

    data = path.read_bytes()
    slot = slots[data[0] % len(slots)] if data else slots[0]
    root, output = path.parent / f"{slot.format} {slot.name}", path.parent / "out"
    if not root.exists():
        slot.make(root)
    (root / slot.file).write_bytes(slot.packed(data[1:]))
    # Twice, since the answers to questions lead further.
    answers = {"boxes": "fill", "overlap": "smallest", "crowd": "class", "exif": "raw", "ignore_case": True}
    for settings in ({}, answers):
        shutil.rmtree(output, ignore_errors=True)
        try:
            done = convert(slot.format, root, output, **settings)
        except ZooError as error:
            refused = error
            continue
        if not done.lost:
            return done
        refused = FormatError("; ".join(done.examples.values()))
    raise refused
