"""Images that show a quantizer the range of every layer, and on which its result is measured."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from PIL import Image

from zoo.datasets import Dataset
from zoo.errors import InputError
from zoo.images import find_images, read_image
from zoo.labels import LabelSet, class_order

# Below this the ranges are those of a few scenes and values outside of them are cut off. 100 are usual.
MIN_IMAGES = 8

Source = str | os.PathLike | Dataset | np.ndarray | Iterable[str | os.PathLike | np.ndarray]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images of one size, with their true masks where these are known.

    Attributes:
        images: ``(height, width, 3)`` uint8 RGB each.
        masks: ``(height, width)`` labels of each in the order of the data set's classes, or `None`.
        label_set: Of the masks.
        order: The data set's index of each of the model's classes.
    """

    images: tuple[np.ndarray, ...] = field(repr=False)
    masks: tuple[np.ndarray, ...] | None = field(default=None, repr=False)
    label_set: LabelSet | None = None
    order: np.ndarray | None = field(default=None, repr=False)


def read_calibration(source: Source, *, size: tuple[int, int], labels: LabelSet) -> Calibration:
    """Read and resize images, as `zoo.segment` resizes: bilinear, with antialiasing where it shrinks.

    Args:
        source: A file, a folder or a glob; a list of files and of arrays ``(height, width, 3)`` with RGB in
            0…255; a batch of such; or a `zoo.datasets.Dataset`, whose masks come along.
        size: (height, width) of the model's input.
        labels: Of the model; those of a data set must be the same classes.

    Raises:
        InputError: Nothing that can be read like that, fewer than `MIN_IMAGES` images, or other classes.
        FormatError: A damaged file; names it.
    """
    if isinstance(source, Dataset):
        return _from_dataset(source, size=size, labels=labels)
    if isinstance(source, str | os.PathLike):
        source = find_images([source])
    try:
        items = list(source)
    except TypeError:
        raise InputError(
            f"calibration takes files, a folder, arrays or a data set, not {type(source).__name__}"
        ) from None
    _check_count(len(items))
    return Calibration(tuple(_resized(_pixels(item, i), size) for i, item in enumerate(items)))


def _check_count(count: int) -> None:
    if count < MIN_IMAGES:
        raise InputError(f"calibration takes at least {MIN_IMAGES} images (100 are usual), not {count}")


def _from_dataset(data: Dataset, *, size: tuple[int, int], labels: LabelSet) -> Calibration:
    _check_count(len(data))
    order = class_order(labels, data.label_set)
    images, masks = [], []
    for index in range(len(data)):
        image, mask = data.read(index)
        images.append(_resized(image, size))
        nearest = Image.fromarray(mask.astype(np.uint8)).resize(size[::-1], Image.Resampling.NEAREST)
        masks.append(np.asarray(nearest))
    return Calibration(tuple(images), tuple(masks), data.label_set, order)


def _pixels(item, index: int) -> np.ndarray:
    if isinstance(item, str | os.PathLike):
        return read_image(item)
    try:
        image = np.asarray(item)
    except ValueError:
        image = np.empty(0)
    fits = image.ndim == 3 and image.shape[-1] == 3 and image.size and image.dtype.kind in "uif"
    if not fits:
        raise InputError(
            f"calibration image {index} must be (height, width, 3) numbers, not {image.shape} {image.dtype}"
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 255):  # false for a NaN, too
        raise InputError(f"calibration image {index} must hold values in 0…255, not {low:g}…{high:g}")
    if image.dtype.kind == "f" and 0 < high <= 1:
        raise InputError(f"calibration image {index} has values in 0…{high:g}; multiply it by 255")
    return image


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] != size:
        image = tf.image.resize(image, size, method="bilinear", antialias=True).numpy()
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
