"""Label sets: class names in the order of the logits, their colours, and the index to ignore."""

from __future__ import annotations

import colorsys
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import InputError

Color = tuple[int, int, int]

# One class says nothing. Mask files have 8 bits, of whose values one is ignored; labels in memory have 16.
FEWEST_CLASSES, MOST_IN_FILES, MOST_CLASSES = 2, 255, 65_535
MOST_IN_A_BYTE, MOST_IN_A_MASK = 256, 65_536  # of masks that are computed, where nothing is ignored


@dataclass(frozen=True)
class LabelSet:
    """Names and colours of the classes of one data set.

    Attributes:
        key: Short name of the set, such as ``"voc21"``.
        names: One name per class, in the order of the logits' channels.
        palette: One RGB colour (0 to 255) per class.
        ignore_label: Index in ground-truth masks that never counts, or `None`.
    """

    key: str
    names: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore_label: int | None = 255

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise InputError(
                f"label set {self.key!r}: {len(self.names)} names but {len(self.palette)} colours"
            )

    def __len__(self) -> int:
        return len(self.names)

    def to_config(self) -> dict:
        """Plain data, for a Keras config or a JSON file."""
        return {
            "key": self.key,
            "names": list(self.names),
            "palette": [list(color) for color in self.palette],
            "ignore_label": self.ignore_label,
        }

    @classmethod
    def from_config(cls, config: Mapping) -> LabelSet:
        """The inverse of `to_config`."""
        return cls(
            key=config["key"],
            names=tuple(config["names"]),
            palette=tuple((int(r), int(g), int(b)) for r, g, b in config["palette"]),
            ignore_label=config["ignore_label"],
        )


def checked_count(count: Any, *, message: str, most: int = MOST_CLASSES) -> int:
    """A number of classes as an `int`, whatever kind of integer it is.

    Args:
        count: What was given.
        message: Of the error.
        most: `MOST_IN_FILES` where masks are read from files.

    Raises:
        InputError: No integer, or one below `FEWEST_CLASSES` or above `most`.
    """
    try:
        number = 0 if isinstance(count, bool | np.bool_) else operator.index(count)
    except TypeError:
        number = 0
    if not FEWEST_CLASSES <= number <= most:
        raise InputError(message)
    return number


def index_type(classes: int) -> type[np.unsignedinteger]:
    """Of computed class indices: a byte each, or two where there are more than `MOST_IN_A_BYTE`."""
    return np.uint8 if classes <= MOST_IN_A_BYTE else np.uint16


def distinct_colors(count: int) -> tuple[Color, ...]:
    """`count` RGB colours that are easy to tell apart: hues by the golden angle, two brightnesses.

    The first is black, as is usual for a background class.
    """
    colors: list[Color] = [(0, 0, 0)]
    for index in range(count - 1):
        hue = (0.02 + index * 0.6180339887) % 1.0
        red, green, blue = colorsys.hsv_to_rgb(hue, 0.80, 0.95 if index % 2 == 0 else 0.65)
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors[:count])


def numbered(count: int) -> LabelSet:
    """A label set of `count` classes that have no names of their own yet."""
    names = tuple(f"class {index}" for index in range(count))
    return LabelSet(f"classes{count}", names, distinct_colors(count))


def named(names: Sequence[str], *, key: str = "custom") -> LabelSet:
    """A label set with the given class names and distinct colours."""
    return LabelSet(key, tuple(names), distinct_colors(len(names)))


def _table(key: str, ignore_label: int, rows: Sequence[tuple[str, Color]]) -> LabelSet:
    return LabelSet(key, tuple(r[0] for r in rows), tuple(r[1] for r in rows), ignore_label)


# PASCAL VOC 2012, the order and colour map of the development kit.
VOC21 = _table(
    "voc21",
    255,
    [
        ("background", (0, 0, 0)),
        ("aeroplane", (128, 0, 0)),
        ("bicycle", (0, 128, 0)),
        ("bird", (128, 128, 0)),
        ("boat", (0, 0, 128)),
        ("bottle", (128, 0, 128)),
        ("bus", (0, 128, 128)),
        ("car", (128, 128, 128)),
        ("cat", (64, 0, 0)),
        ("chair", (192, 0, 0)),
        ("cow", (64, 128, 0)),
        ("diningtable", (192, 128, 0)),
        ("dog", (64, 0, 128)),
        ("horse", (192, 0, 128)),
        ("motorbike", (64, 128, 128)),
        ("person", (192, 128, 128)),
        ("pottedplant", (0, 64, 0)),
        ("sheep", (128, 64, 0)),
        ("sofa", (0, 192, 0)),
        ("train", (128, 192, 0)),
        ("tvmonitor", (0, 64, 128)),
    ],
)

# Cityscapes, the 19 evaluated classes by trainId.
CITYSCAPES19 = _table(
    "cityscapes19",
    255,
    [
        ("road", (128, 64, 128)),
        ("sidewalk", (244, 35, 232)),
        ("building", (70, 70, 70)),
        ("wall", (102, 102, 156)),
        ("fence", (190, 153, 153)),
        ("pole", (153, 153, 153)),
        ("traffic light", (250, 170, 30)),
        ("traffic sign", (220, 220, 0)),
        ("vegetation", (107, 142, 35)),
        ("terrain", (152, 251, 152)),
        ("sky", (70, 130, 180)),
        ("person", (220, 20, 60)),
        ("rider", (255, 0, 0)),
        ("car", (0, 0, 142)),
        ("truck", (0, 0, 70)),
        ("bus", (0, 60, 100)),
        ("train", (0, 80, 100)),
        ("motorcycle", (0, 0, 230)),
        ("bicycle", (119, 11, 32)),
    ],
)

# CamVid with 11 classes in SegNet's order; index 11 is void.
CAMVID11 = _table(
    "camvid11",
    11,
    [
        ("sky", (128, 128, 128)),
        ("building", (128, 0, 0)),
        ("pole", (192, 192, 128)),
        ("road", (128, 64, 128)),
        ("pavement", (60, 40, 222)),
        ("tree", (128, 128, 0)),
        ("sign symbol", (192, 128, 128)),
        ("fence", (64, 64, 128)),
        ("car", (64, 0, 128)),
        ("pedestrian", (64, 64, 0)),
        ("bicyclist", (0, 128, 192)),
    ],
)


def _reordered(key: str, ignore_label: int, rows: Sequence[tuple[str, str]]) -> LabelSet:
    """Classes of CamVid in another order and under other names, each with its colour."""
    colors = dict(zip(CAMVID11.names, CAMVID11.palette, strict=True))
    return _table(key, ignore_label, [(name, colors[camvid]) for name, camvid in rows])


# The same 11 classes in the order of Yu & Koltun's networks, which read their own files of labels.
CAMVID11_FYU = _reordered(
    "camvid11_fyu",
    255,
    [
        ("building", "building"),
        ("tree", "tree"),
        ("sky", "sky"),
        ("car", "car"),
        ("sign symbol", "sign symbol"),
        ("road", "road"),
        ("pedestrian", "pedestrian"),
        ("fence", "fence"),
        ("pole", "pole"),
        ("pavement", "pavement"),
        ("bicyclist", "bicyclist"),
    ],
)

# KITTI with 11 classes (Ros et al. 2015); fyu/dilation's datasets/kitti.json gives the colours in this order.
KITTI11 = _reordered(
    "kitti11",
    255,
    [
        ("building", "building"),
        ("tree", "tree"),
        ("sky", "sky"),
        ("car", "car"),
        ("sign", "sign symbol"),
        ("road", "road"),
        ("pedestrian", "pedestrian"),
        ("fence", "fence"),
        ("pole", "pole"),
        ("sidewalk", "pavement"),
        ("bicyclist", "bicyclist"),
    ],
)

LABEL_SETS: Mapping[str, LabelSet] = {
    s.key: s for s in (VOC21, CITYSCAPES19, CAMVID11, CAMVID11_FYU, KITTI11)
}


def resolve(key: str) -> LabelSet:
    """The label set of that name; `InputError` lists the known ones otherwise."""
    try:
        return LABEL_SETS[key]
    except KeyError:
        raise InputError(f"unknown label set {key!r}; known: {', '.join(sorted(LABEL_SETS))}") from None


def class_order(model: LabelSet, data: LabelSet) -> np.ndarray:
    """The data set's index of each of a model's classes, ``(classes,)`` integers.

    Classes go together by name, whatever their order; upper case, spaces, hyphens and underscores make no
    difference. Where a model or the data has no names (`zoo.labels.numbered`), they go together by position.

    Raises:
        InputError: Other names or another number of classes; names the difference.
    """
    dtype = index_type(len(data))
    if len(model) == len(data) and numbered(len(data)).names in (model.names, data.names):
        return np.arange(len(data), dtype=dtype)
    ours, theirs = (list(map(_plain, labels.names)) for labels in (model, data))
    if sorted(ours) == sorted(theirs) and len(set(ours)) == len(ours):
        return np.array([theirs.index(name) for name in ours], dtype)
    if model.names == data.names:
        return np.arange(len(data), dtype=dtype)
    extra = [name for name in model.names if _plain(name) not in theirs]
    missing = [name for name in data.names if _plain(name) not in ours]
    differences = [
        f"{owner} has {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        for owner, names in (("only the model", extra), ("only the data", missing))
        if names
    ]
    raise InputError(
        f"the model has the {len(model)} classes of {model.key}, the data the {len(data)} of {data.key}; "
        + "; ".join(differences or ["names occur more than once"])
    )


def _plain(name: str) -> str:
    return name.casefold().translate(str.maketrans("", "", " -_"))
