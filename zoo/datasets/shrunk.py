"""A data set with its images scaled down, for training and scoring at lower cost."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from PIL import Image

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Shrunk(Dataset):
    """The samples of a data set, each made small enough for a limit; see `shrink`.

    Attributes:
        limit: Largest height and width.
    """

    limit: tuple[int, int]

    def read_bytes(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """One sample as `Dataset.read_bytes` gives it, at its smaller size."""
        image, mask = super().read_bytes(index)
        height, width = self._size(mask.shape)
        if (height, width) == mask.shape:
            return image, mask
        # Pillow's bilinear filter widens with the factor, so that what is left out is averaged.
        small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        rows, columns = (_centres(*pair) for pair in zip(mask.shape, (height, width), strict=True))
        return np.asarray(small), mask[rows[:, np.newaxis], columns]

    def shape(self, index: int) -> tuple[int, int]:
        """As `Dataset.shape`, at the smaller size."""
        return self._size(super().shape(index))

    def _size(self, shape: tuple[int, int]) -> tuple[int, int]:
        factor = min(1.0, *(most / side for most, side in zip(self.limit, shape, strict=True)))
        height, width = (max(1, round(side * factor)) for side in shape)
        return height, width


def _centres(size: int, target: int) -> np.ndarray:
    """``(target,)`` indices of the pixels below the centres of `target` pixels that cover the same length."""
    return (2 * np.arange(target) + 1) * size // (2 * target)


def shrink(dataset: Dataset, limit: tuple[int, int]) -> Shrunk:
    """The data set with images of at most that size; smaller ones stay as they are, none is enlarged.

    Both sides shrink by one factor. Images are averaged (bilinear, antialiased), masks take the label below
    each pixel's centre.

    Args:
        dataset: Whose samples are made smaller as they are read.
        limit: Largest height and width, in pixels.

    Raises:
        InputError: A limit that is no two positive integers.
    """
    if len(limit) != 2 or any(not isinstance(side, int) or side < 1 for side in limit):
        raise InputError(f"a size is a height and a width of 1 or more pixels, not {limit!r}")
    own = {field.name: getattr(dataset, field.name) for field in fields(Dataset)}
    height, width = limit
    return Shrunk(**own, limit=(height, width))
