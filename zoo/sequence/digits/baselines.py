"""What a network is measured against: counts of codes, and linear prediction that adapts as it listens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.sequence import mu_law
from zoo.sequence.digits.recordings import CONVENTION, SILENCE, Recording

CODES = 256


def ngram_bits(train: Sequence[Recording], test: Sequence[Recording], *, order: int) -> np.ndarray:
    """Bits of each recording by counted codes, each order smoothed by the one below it.

    Of Witten and Bell (1991): a context that was followed by ``t`` different codes in ``n`` occurrences
    leaves ``t / (n + t)`` to the shorter context; the empty one leaves that to all codes alike.

    Args:
        train: What is counted.
        test: What is measured.
        order: Codes that a prediction sees, itself among them: 1 is free of order.
    """
    padded = [_padded(recording, order) for recording in train]
    contexts = [_counts([_grams(codes, order, n) for codes in padded]) for n in range(1, order + 1)]
    found = []
    for recording in test:
        codes = _padded(recording, order)
        odds = np.full(len(recording.sound), 1 / CODES)
        for n, table in enumerate(contexts, start=1):
            odds = table.smoothed(_grams(codes, order, n), odds)
        found.append(-np.log2(odds).sum())
    return np.asarray(found)


class _Table:
    """Counts of sequences and of the contexts within them."""

    def __init__(self, grams: np.ndarray):
        self._grams, self._counts = np.unique(grams, return_counts=True)
        self._contexts, starts = np.unique(self._grams // CODES, return_index=True)
        self._totals = np.add.reduceat(self._counts, starts)
        self._kinds = np.diff(np.append(starts, len(self._grams)))

    def smoothed(self, grams: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Probabilities of the last codes of `grams`, given those of shorter contexts."""
        count = _looked_up(self._grams, self._counts, grams)
        total = _looked_up(self._contexts, self._totals, grams // CODES)
        kinds = _looked_up(self._contexts, self._kinds, grams // CODES)
        return np.where(total > 0, (count + kinds * below) / np.maximum(total + kinds, 1), below)


def _counts(grams: list[np.ndarray]) -> _Table:
    return _Table(np.concatenate(grams))


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _padded(recording: Recording, order: int) -> np.ndarray:
    return np.concatenate([np.full(order - 1, SILENCE), recording.codes]).astype(np.int64)


def _grams(codes: np.ndarray, order: int, n: int) -> np.ndarray:
    """Each code with the n − 1 before it, as one number."""
    count = len(codes) - order + 1
    found = np.zeros(count, np.int64)
    for back in range(n - 1, -1, -1):
        start = order - 1 - back
        found = found * CODES + codes[start : start + count]
    return found


def prediction_bits(
    test: Sequence[Recording], *, order: int = 32, memory: float = 0.998, spread: float = 0.9
) -> np.ndarray:
    """Bits of each recording by linear prediction: recursive least squares over the sound heard so far.

    The prediction's error is taken for a mixture of two Laplace distributions and a hundredth of an even
    one, whose width follows the errors so far; its probability within the borders of each code is what
    counts. Nothing is trained.

    Args:
        test: What is measured.
        order: Samples that a prediction sees.
        memory: What the least squares keep of the past from sample to sample.
        spread: What the width keeps.
    """
    heard = np.zeros((len(test), max(len(recording.sound) for recording in test) + order))
    codes = np.zeros(heard.shape, np.int64)
    for row, recording in enumerate(test):
        codes[row, order : order + len(recording.sound)] = recording.codes
        stop = order + len(recording.sound)
        heard[row, order:stop] = mu_law.decode(recording.codes, convention=CONVENTION)
    bits = _adaptive_bits(heard, codes, order, memory, spread)
    return np.asarray([bits[row, : len(recording.sound)].sum() for row, recording in enumerate(test)])


def _adaptive_bits(heard: np.ndarray, codes: np.ndarray, order: int, memory: float, spread: float):
    rows, length = heard.shape
    weights = np.zeros((rows, order))
    inverse = np.tile(np.eye(order) * 100.0, (rows, 1, 1))
    width, borders = np.full(rows, 1e-3), _borders()
    bits = np.zeros((rows, length - order))
    for at in range(order, length):
        seen = heard[:, at - order : at]
        predicted = np.clip((weights * seen).sum(axis=1), -1, 1)
        code = codes[:, at]
        bits[:, at - order] = -np.log2(_odds(borders[code], borders[code + 1], predicted, width))
        error = heard[:, at] - predicted
        width = np.maximum(spread * width + (1 - spread) * np.abs(error), 1e-4)
        gain = np.einsum("rij,rj->ri", inverse, seen)
        gain /= memory + (gain * seen).sum(axis=1, keepdims=True)
        weights += gain * error[:, None]
        inverse = (inverse - gain[:, :, None] * np.einsum("rj,rjk->rk", seen, inverse)[:, None]) / memory
        # In silence, old sound would be forgotten without bound.
        trace = np.trace(inverse, axis1=1, axis2=2)
        inverse *= np.minimum(1, 1e6 * order / np.maximum(trace, 1e-9))[:, None, None]
    return bits


def _odds(low: np.ndarray, high: np.ndarray, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    found = 0.01 / CODES
    for share, factor in ((0.69, 0.8), (0.3, 2.0)):
        found = found + share * (
            _laplace(high, centre, factor * width) - _laplace(low, centre, factor * width)
        )
    return found


def _laplace(x: np.ndarray, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    z = np.clip((x - centre) / width, -60, 60)
    return np.where(z < 0, np.exp(np.minimum(z, 0)) / 2, 1 - np.exp(-np.maximum(z, 0)) / 2)


def _borders() -> np.ndarray:
    """Where each code begins and the last one ends, as sound."""
    squeezed = np.clip((2 * np.arange(CODES + 1) - 1) / mu_law.MU - 1, -1, 1)
    borders = np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log1p(mu_law.MU)) / mu_law.MU
    borders[0], borders[-1] = -np.inf, np.inf
    return borders
