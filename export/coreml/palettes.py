"""A table of few values in place of a kernel's own."""

from __future__ import annotations

import numpy as np

# Widths of an index that Core ML has.
WIDTHS = (1, 2, 4, 6, 8)
_STEPS = 40


def palette(values: np.ndarray, *, bits: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Table, index of each value in it, and the width of an index in bits.

    Args:
        values: float32 of any shape.
        bits: Widest index, one of `WIDTHS`. Values of which there are no more than the table can hold are the
            table; others are gathered around so many means (k-means in one dimension, from quantiles and from
            the range).
    """
    own = np.unique(values)
    if len(own) > 1 << bits:
        own = _means(np.sort(values, axis=None).astype(np.float64), 1 << bits).astype(np.float32)
    width = next(w for w in WIDTHS if len(own) <= 1 << w)
    indices = np.searchsorted((own[1:] + own[:-1]) / 2, values)
    table = np.concatenate([own, np.full((1 << width) - len(own), own[-1])]).astype(np.float32)
    return table, indices.astype(np.uint8), width


def _means(ordered: np.ndarray, count: int) -> np.ndarray:
    """Ascending means of `count` neighbouring groups of sorted values, none of them twice."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    dense = ordered[((np.arange(count // 2) + 0.5) * len(ordered) / (count // 2)).astype(np.int64)]
    means = np.unique(np.concatenate([dense, np.linspace(ordered[0], ordered[-1], count - count // 2)]))
    for _ in range(_STEPS):
        ends = np.searchsorted(ordered, (means[1:] + means[:-1]) / 2)
        ends = np.concatenate([[0], ends, [len(ordered)]])
        filled = np.diff(ends) > 0
        moved = np.unique(np.diff(sums[ends])[filled] / np.diff(ends)[filled])
        if len(moved) == len(means) and np.allclose(moved, means, rtol=1e-6, atol=0):
            break
        means = moved
    return means


def packed(indices: np.ndarray, *, width: int) -> np.ndarray:
    """Indices in row-major order, `width` bits each, the least significant first."""
    bits = np.unpackbits(indices.reshape(-1, 1), axis=1, bitorder="little")[:, :width]
    return np.packbits(bits.reshape(-1), bitorder="little")
