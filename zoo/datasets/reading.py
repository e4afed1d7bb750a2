"""How the files of a data set are read where they can be read in more than one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zoo.errors import InputError
from zoo.images.limits import check_max_pixels
from zoo.images.pixels import check_alpha, check_bits, check_exif
from zoo.labels import LabelSet, named

IGNORE = "ignore"
# The values of black and white masks; 1 instead of 255 is usual as well.
_BINARY = {0: 0, 1: 1, 255: 1}
_VALUES = 256


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was said about files that leave it open.

    Attributes:
        exif: ``"apply"`` turns images by their EXIF orientation, ``"raw"`` reads them as stored. `None`:
            applied, unless a mask fits the image both ways.
        alpha: As for `zoo.images.read_image`.
        bits: As for `zoo.images.read_image`.
        max_pixels: As for `zoo.images.read_image`, of images and masks.

    Raises:
        InputError: Another value.
    """

    exif: str | None = None
    alpha: str | None = None
    bits: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if self.exif is not None:
            check_exif(self.exif)
        check_alpha(self.alpha)
        check_bits(self.bits)
        check_max_pixels(self.max_pixels)

    def under(self, other: Reading) -> Reading:
        """These decisions where `other` has none: records keep what was said when they were packed."""
        said = {name: value for name, value in vars(other).items() if value is not None}
        return Reading(**{**vars(self), **said})

    def image_options(self) -> dict:
        """Options of `zoo.images.read_image`."""
        return {
            "exif": self.exif or "apply",
            "alpha": self.alpha,
            "bits": self.bits,
            "max_pixels": self.max_pixels,
        }


def remapped(
    values: np.ndarray, label_set: LabelSet, *, mapping: Mapping[int, int | str] | None, binary: bool
) -> tuple[int, ...] | None:
    """The table of mask values under what the caller says of some; `None` where nothing is said.

    Args:
        values: ``(256,)`` label of each value as the data set has it.
        label_set: The classes.
        mapping: Class, by index or name, or ``"ignore"``, of some values.
        binary: Whether masks are black and white: 0 is class 0, 255 or 1 is class 1, and nothing else is.

    Raises:
        InputError: A value or class that is none, or classes that are not two.
    """
    if not mapping and not binary:
        return None
    table = values.copy()
    if binary:
        if len(label_set) != 2:
            raise InputError(f"binary masks have two classes, the data set has {len(label_set)}")
        table[:] = -1
        for value, label in _BINARY.items():
            table[value] = label
    for value, target in (mapping or {}).items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _VALUES:
            raise InputError(f"a mapped value of a mask is an integer from 0 to 255, not {value!r}")
        table[value] = _label(target, label_set)
    return tuple(int(label) for label in table)


def _label(target: int | str, label_set: LabelSet) -> int:
    if target == IGNORE and label_set.ignore_label is not None:
        return label_set.ignore_label
    if target in label_set.names:
        return label_set.names.index(target)
    allowed = {*range(len(label_set)), label_set.ignore_label}
    if isinstance(target, int) and not isinstance(target, bool) and target in allowed:
        return target
    raise InputError(
        f"a mask value becomes a class from 0 to {len(label_set) - 1}, the name of one, or {IGNORE}, "
        f"not {target!r}"
    )


def two_classes() -> LabelSet:
    """Classes of black and white masks without names."""
    return named(["background", "object"])
