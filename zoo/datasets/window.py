"""The part of a large image and its mask that a crop will show, cut out before anything is converted."""

from __future__ import annotations

import math

import numpy as np

from zoo.datasets.augmentation import Augmentation

# Smaller images are converted whole, which costs less than it would save.
_LARGE = 1 << 21
_SPARE = 4  # pixels, for what rounding may shift


def cut(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    draws: np.ndarray,
    crop: tuple[int, int] | None,
    augment: Augmentation | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mirror, and cut what the crop needs.

    Args:
        image: ``(height, width, 3)`` uint8.
        mask: ``(height, width)`` uint8.
        draws: The sample's random numbers, see `zoo.datasets.transform.drawn`.
        crop: As for `zoo.datasets.transform.transform`.
        augment: As for `zoo.datasets.transform.transform`.

    Returns:
        The parts of image and mask; the whole height and width; and where the parts begin.
    """
    if augment is not None and augment.flip and draws[0] < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    size = np.array(mask.shape, np.int32)
    if crop is None or mask.size < _LARGE:
        return np.ascontiguousarray(image), np.ascontiguousarray(mask), size, np.zeros(2, np.int32)
    factor, places = 1.0, (0.5, 0.5)
    if augment is not None:
        low, high = augment.scale
        factor, places = low + (high - low) * float(draws[1]), draws[2:4]
    axes = zip(mask.shape, crop, places, strict=True)
    rows, columns = (_span(length, side, factor, float(place)) for length, side, place in axes)
    origin = np.array([rows.start, columns.start], np.int32)
    return image[rows, columns].copy(), mask[rows, columns].copy(), size, origin


def _span(length: int, side: int, factor: float, place: float) -> slice:
    """Pixels along one axis of which the crop shows any, and those that the filter looks at around them."""
    scaled = max(1, round(length * factor))
    room = side - scaled
    offset = math.copysign(min(math.floor((abs(room) + 1) * place), abs(room)), room)
    step = length / scaled
    margin = 2 * math.ceil(max(1.0, step)) + math.ceil(_SPARE * max(1.0, step))
    first = math.floor(-offset * step) - margin
    last = math.ceil((side - offset) * step) + margin
    return slice(max(0, first), min(length, last))
