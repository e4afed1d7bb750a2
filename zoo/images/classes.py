"""Which classes a mask holds, and how much of each."""

from __future__ import annotations

import numpy as np

from zoo.errors import InputError
from zoo.labels import LabelSet


def class_shares(mask: np.ndarray, label_set: LabelSet) -> list[tuple[str, float]]:
    """Names and shares of the classes in a mask, the largest first.

    Args:
        mask: ``(height, width)`` class indices. Pixels with the ignore label do not count.
        label_set: Names of the classes.

    Returns:
        ``(name, share)`` of every class that occurs; shares are in 0…1 and sum to 1. Empty if every
        pixel is ignored.

    Raises:
        InputError: Not a mask, or an index that is no class.
    """
    counts = class_counts(checked_mask(mask, label_set), label_set)
    return [(label_set.names[index], share) for index, share in ranked(counts)]


def checked_mask(mask: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """The mask as an array; `InputError` where it is none or holds an index of no class."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size or mask.dtype.kind not in "iu":
        raise InputError(f"a mask is a (height, width) array of class indices, not {mask.shape} {mask.dtype}")
    low, high, ignore = int(mask.min()), int(mask.max()), label_set.ignore_label
    if ignore is not None and not low <= ignore <= high:
        ignore = None
    if low < 0 or high >= len(label_set):
        outside = mask[(mask < 0) | (mask >= len(label_set))]
        outside = outside if ignore is None else outside[outside != ignore]
        if outside.size:
            raise InputError(
                f"mask has the index {int(outside[0])}, {label_set.key} has the classes"
                f" 0 to {len(label_set) - 1}"
            )
    return mask


def class_counts(mask: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """``(classes,)`` pixels of each class; ignored ones do not count."""
    size = max(len(label_set), int(mask.max()) + 1)
    counts = np.zeros(size, np.int64)
    for rows in np.array_split(mask, max(1, mask.size >> 20)):  # bincount copies to 64 bits
        counts += np.bincount(rows.ravel(), minlength=size)
    if label_set.ignore_label is not None and label_set.ignore_label < size:
        counts[label_set.ignore_label] = 0
    return counts[: len(label_set)]


def ranked(counts: np.ndarray) -> list[tuple[int, float]]:
    """``(index, share)`` of the classes that occur, the largest first."""
    total = counts.sum()
    order = np.argsort(-counts, kind="stable")
    return [(int(index), float(counts[index] / total)) for index in order if counts[index]]


def uncolored(label_set: LabelSet) -> list[int]:
    """Indices that leave the image as it is."""
    indices = [0] if label_set.names[:1] == ("background",) else []
    return indices if label_set.ignore_label is None else [*indices, label_set.ignore_label]
