"""Which sample stands where in an epoch, as a function of seed, epoch and batch size alone."""

from __future__ import annotations

import itertools

import numpy as np


def epoch_order(size: int, *, seed: int, epoch: int) -> np.ndarray:
    """``(size,)`` sample indices in the order of a shuffled epoch, the same on every machine.

    Every permutation is equally likely. `tf.random.experimental.index_shuffle`, which would need no memory,
    is far from that: over many epochs it prefers some samples in some places.
    """
    # NumPy keeps the numbers of its bit generators from version to version, but not those of `permutation`.
    ranks = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(size)
    return np.argsort(ranks, kind="stable")


def interleaved_order(size: int, *, batch: int, seed: int, epoch: int) -> np.ndarray:
    """``(size // batch * batch,)`` sample indices; each place of a batch reads a part of its own.

    The samples are cut into `batch` equal parts as they stand, in whose order the batches take one of each.
    Within its part a place takes samples in a shuffled order. So whoever reads a run of places reads a run of
    files, and the batches are the same for any number of readers.

    Args:
        size: Number of samples, at least `batch`.
        batch: Places of a batch.
        seed: Of the orders within the parts.
        epoch: Likewise.
    """
    ranks = epoch_order(size, seed=seed, epoch=epoch)
    place = np.empty(size, np.int64)
    place[ranks] = np.arange(size)
    ends = [number * size // batch for number in range(batch + 1)]
    length = size // batch
    spans = itertools.pairwise(ends)
    parts = [first + np.argsort(place[first:last])[:length] for first, last in spans]
    return np.stack(parts, axis=1).reshape(-1)
