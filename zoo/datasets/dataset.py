"""A data set: pairs of image and mask files, their classes, and how a mask file is decoded."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.datasets.orders import ORDERS, SAMPLES
from zoo.datasets.reading import Reading
from zoo.errors import FormatError, InputError
from zoo.images import read_image, read_mask
from zoo.images.read import read_header
from zoo.labels import MOST_IN_FILES, Color, LabelSet

INVALID = -1  # in a table of mask values: one that must not occur

Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Dataset:
    """Images with masks, read from files when they are asked for.

    Attributes:
        name: Kind of the data set, such as ``"camvid"``.
        split: Part of it, such as ``"train"``.
        label_set: Names, colours and ignore label of the classes.
        pairs: ``(image path, mask path)`` of each sample.
        table: Label of each of the 256 values that a mask file can hold, `INVALID` (-1) where the value must
            not occur. `None`: files hold the labels themselves.
        ids: Whether the files hold Cityscapes label ids.
        colors: RGB colours that stand in the mask files instead of values; a pixel's value is the position of
            its colour here. `None`: files hold values.
        distance: Largest distance of a pixel's colour from one of `colors`; 0: exactly those.
        reading: What was said about files that can be read in more than one way.
        order: How training shuffles: ``"samples"``: any sample may stand anywhere; ``"files"``: each place
            of a batch has a part of the data for itself, see `zoo.datasets.order.interleaved_order`.
        shards: Files of records that hold the samples, or `None`.
        counted: Pixels of each class and of ignored ones, where the files were looked at when they were made
            and are read as they were then; `None` where nobody knows.
    """

    name: str
    split: str
    label_set: LabelSet
    pairs: tuple[Pair, ...] = field(repr=False)
    table: tuple[int, ...] | None = field(default=None, repr=False)
    ids: bool = False
    colors: tuple[Color, ...] | None = field(default=None, repr=False)
    distance: float = field(default=0.0, repr=False)
    reading: Reading = field(default_factory=Reading, repr=False)
    order: str = field(default=SAMPLES, repr=False)
    shards: int | None = field(default=None, repr=False)
    counted: tuple[int, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        ignore = self.label_set.ignore_label
        if self.table is not None and len(self.table) != 256:
            raise InputError(f"a table of mask values has 256 entries, not {len(self.table)}")
        if self.order not in ORDERS:
            raise InputError(f"order must be one of {', '.join(ORDERS)}, not {self.order!r}")
        if len(self.label_set) > MOST_IN_FILES or (ignore is not None and not 0 <= ignore <= 255):
            raise InputError(
                f"a data set has up to {MOST_IN_FILES} classes and an ignore label in 0…255,"
                f" not {len(self.label_set)} and {ignore}"
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def values(self) -> np.ndarray:
        """``(256,)`` int32: the label of each value in a mask file, `INVALID` where it must not occur."""
        if self.table is not None:
            return np.array(self.table, np.int32)
        values = np.full(256, INVALID, np.int32)
        values[: len(self.label_set)] = np.arange(len(self.label_set))
        if self.label_set.ignore_label is not None:
            values[self.label_set.ignore_label] = self.label_set.ignore_label
        return values

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One sample.

        Args:
            index: Position in `pairs`.

        Returns:
            The image, ``(height, width, 3)`` uint8 RGB, and the mask, ``(height, width)`` int32 labels:
            classes or the ignore label.

        Raises:
            InputError: A missing file, an index that is out of range, image and mask that differ in size, or
                a value in the mask that is no class.
            FormatError: A damaged file.
        """
        image, mask = self.read_bytes(index)
        return image, mask.astype(np.int32)

    def read_bytes(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, with the mask as uint8, which takes a quarter of the memory."""
        image_path, mask_path = self.pairs[self._checked(index)]
        image, raw = read_image(image_path, **self.reading.image_options()), self.read_values(mask_path)
        if image.shape[:2] != raw.shape:
            raise InputError(f"{mask_path}: {size_of(raw)} pixels, but its image has {size_of(image)}")
        values = self.values()
        wrong = (values == INVALID)[raw]
        if wrong.any():
            found = np.unique(raw[wrong])
            raise InputError(f"{mask_path}: {describe_values(found)} no class of {self.label_set.key}")
        return image, values.astype(np.uint8)[raw]

    def shape(self, index: int) -> tuple[int, int]:
        """Height and width of a sample, from the header of its image; errors are those of `read`."""
        header = read_header(self.pairs[self._checked(index)][0], max_pixels=self.reading.max_pixels)
        return header.stored if self.reading.exif == "raw" else header.upright

    def read_values(self, path: Path) -> np.ndarray:
        """``(height, width)`` uint8: what a mask file holds, before `values` makes labels of it.

        Raises:
            InputError: There is no such file.
            FormatError: A damaged file, or a colour that is none of `colors`.
        """
        if self.colors is None:
            return read_mask(path, **self._mask_options())
        if self.distance:
            from zoo.datasets.colored import colored_positions

            return colored_positions(path, self.colors, self.distance, **self._mask_options())
        return _positions(read_image(path, **self.reading.image_options()), self.colors, path)

    def _mask_options(self) -> dict[str, Any]:
        return {"exif": self.reading.exif or "apply", "max_pixels": self.reading.max_pixels}

    def as_tf(self, **options):
        """Batches as a ``tf.data.Dataset``; the options are those of `zoo.datasets.batches`."""
        from zoo.datasets.stream import batches

        return batches(self, **options)

    def _checked(self, index: int) -> int:
        try:
            index = operator.index(index)
        except TypeError:
            raise InputError(f"an index is an integer, not {index!r}") from None
        if not 0 <= index < len(self):
            raise InputError(f"index {index} is outside of 0…{len(self) - 1}")
        return index


def _positions(pixels: np.ndarray, colors: Sequence[Color], path: Path) -> np.ndarray:
    """Position in `colors` of each pixel of a mask ``(height, width, 3)``."""
    weights = np.array([1 << 16, 1 << 8, 1])
    known = np.array(colors) @ weights
    order = np.argsort(known)
    codes = pixels @ weights
    at = np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)
    found = order[at].astype(np.uint8)
    wrong = known[found] != codes
    if wrong.any():
        color = tuple(map(int, pixels[wrong][0]))
        raise FormatError(f"{path}: {int(wrong.sum())} pixels have a colour of no class, such as {color}")
    return found


def size_of(array: np.ndarray) -> str:
    """``WIDTHxHEIGHT`` of an image or a mask, as image viewers show it."""
    return f"{array.shape[1]}x{array.shape[0]}"


def describe_values(values) -> str:
    """``value 12 is`` or ``values 12, 13 are``; of many only the first."""
    shown = ", ".join(str(int(value)) for value in values[:8]) + (", …" if len(values) > 8 else "")
    return f"value {shown} is" if len(values) == 1 else f"values {shown} are"
