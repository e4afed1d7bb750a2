"""Images that show a quantizer the range of every layer, and on which its result is measured."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
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

# Taken from a source that does not say how many it has, which may be without an end.
MAX_IMAGES = 256

Item = str | os.PathLike | np.ndarray | Mapping | Sequence
Source = str | os.PathLike | Dataset | np.ndarray | Iterable[Item] | Callable[[], Iterable[Item]]


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
            0…255; a batch of such; or a `zoo.datasets.Dataset`, whose masks come along. Items may also be
            batches ``(n, height, width, 3)``, pairs of images and masks, of which the masks are not used, or
            lists and mappings of a single array; and what gives the items a generator, a ``tf.data``
            pipeline, or a function as TensorFlow's ``representative_dataset``. Of those, which may be
            without an end, the first `MAX_IMAGES` images are taken.
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
    elif callable(source):
        source = source()
    counted = isinstance(source, Sequence | Set | np.ndarray)
    if isinstance(source, Sequence) and not any(map(_is_nested, source)):
        _check_count(len(source))  # before anything is read
    images = tuple(_resized(image, size) for image in _limited(source, None if counted else MAX_IMAGES))
    _check_count(len(images))
    return Calibration(images)


def _limited(source, most: int | None) -> Iterator[np.ndarray]:
    """The pixels of the images of all items, one by one, and no more of them than `most`."""
    try:
        items = iter(source)
    except TypeError:
        raise InputError(
            f"calibration takes files, a folder, arrays or a data set, not {type(source).__name__}"
        ) from None
    yield from itertools.islice(_images(items), most)


def _images(items: Iterator) -> Iterator[np.ndarray]:
    index = 0
    for item in items:
        for image in _unpacked(item, index):
            yield _pixels(image, index)
            index += 1


def _is_nested(item) -> bool:
    """Whether an item may hold another number of images than one."""
    return isinstance(item, Mapping | tuple | list) or len(getattr(item, "shape", ())) == 4


def _unpacked(item, index: int) -> Iterable:
    """The images of an item: of itself, a batch, a list or mapping of one array, or a pair with a mask."""
    if isinstance(item, Mapping):
        item = tuple(item.values())
    is_group = isinstance(item, tuple | list) and all(map(_is_array, item))
    if is_group and item:
        item, *others = item
        for other in others:
            if np.shape(other)[-1:] == (3,):
                raise InputError(
                    f"calibration item {index} holds several arrays of three channels: give one image for"
                    " each item, or pairs of image and mask"
                )
    return np.asarray(item) if len(getattr(item, "shape", ())) == 4 else (item,)


def _is_array(value) -> bool:
    return len(getattr(value, "shape", ())) in (2, 3, 4)


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
