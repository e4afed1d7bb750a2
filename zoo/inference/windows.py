"""Windows over an image that blend into each other, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.inference import network
from zoo.layers.resize import label_set_of

OVERLAP = 4  # neighbouring windows share at least a quarter of their side

# A part of an image and its probabilities: the first row, then (rows, width, classes) float32.
Band = tuple[int, np.ndarray]


def bands(
    model: keras.Model,
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
        yield 0, _window_probabilities(model, pixels, window=window, scales=scales, flip=flip)
        return
    classes = len(label_set_of(model))
    pending = np.zeros((min(window[0], size[0]), size[1], classes), np.float32)
    ends = [top for top, _ in rows[1:]] + [size[0]]
    for (top, row_weights), end in zip(rows, ends, strict=True):
        for left, column_weights in columns:
            part = slice(left, left + len(column_weights))
            seen = pixels[top : top + len(row_weights), part]
            found = _window_probabilities(model, seen, window=window, scales=scales, flip=flip)
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
    model: keras.Model,
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
    try:
        total = network.averaged(model, pixels, scales=scales, flip=flip)
    except tf.errors.ResourceExhaustedError:
        raise InputError(
            f"not enough memory to see {window[0]}x{window[1]} pixels at once; use a smaller tile"
        ) from None
    return total[:height, :width]
