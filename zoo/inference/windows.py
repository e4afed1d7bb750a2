"""Windows over an image that blend into each other, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from zoo.inference.viewer import Viewer

OVERLAP = 4  # neighbouring windows share at least a quarter of their side

# A part of an image and its probabilities: the first row, then (rows, width, classes) float32.
Band = tuple[int, np.ndarray]


def bands(
    viewer: Viewer,
    pixels: np.ndarray,
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> Iterator[Band]:
    """Probabilities of the whole width, from top to bottom, as soon as no further window changes them."""
    size = pixels.shape[:2]
    rows, columns = (positions(n, w) for n, w in zip(size, window, strict=True))
    if len(rows) == len(columns) == 1:
        yield 0, _window_probabilities(viewer, pixels, window=window, scales=scales, flip=flip)
        return
    classes = len(viewer.labels)
    pending = np.zeros((min(window[0], size[0]), size[1], classes), np.float32)
    ends = [top for top, _ in rows[1:]] + [size[0]]
    for (top, row_weights), end in zip(rows, ends, strict=True):
        for left, column_weights in columns:
            part = slice(left, left + len(column_weights))
            seen = pixels[top : top + len(row_weights), part]
            found = _window_probabilities(viewer, seen, window=window, scales=scales, flip=flip)
            pending[:, part] += found * (row_weights[:, None] * column_weights)[..., None]
        done = end - top
        yield top, pending[:done].copy()
        pending[: -done or None] = pending[done:]
        pending[len(pending) - done :] = 0


def positions(length: int, window: int) -> list[tuple[int, np.ndarray]]:
    """Starts of evenly spaced windows along one axis, and the weight of every pixel of each.

    The weights rise linearly from a window's ends over the overlap and sum to 1 over the windows at every
    pixel. Those of a grid of windows are the products of both axes' weights.
    """
    window = min(window, length)
    overlap = window // OVERLAP
    count = math.ceil((length - window) / (window - overlap)) + 1
    starts = [round(start) for start in np.linspace(0, length - window, count)]
    distance = np.arange(window) + 1
    ramp = np.minimum(np.minimum(distance, distance[::-1]), overlap + 1).astype(np.float32)
    total = np.zeros(length, np.float32)
    for start in starts:
        total[start : start + window] += ramp
    return [(start, ramp / total[start : start + window]) for start in starts]


def _window_probabilities(
    viewer: Viewer,
    pixels: np.ndarray,
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> np.ndarray:
    """Probabilities ``(height, width, classes)`` of an image that the model sees at once."""
    height, width = pixels.shape[:2]
    missing = [max(0, w - n) for w, n in zip(window, (height, width), strict=True)]
    if any(missing):
        pixels = np.pad(pixels, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    total = viewer.probabilities(pixels, scales=scales, flip=flip)
    return total[:height, :width]
