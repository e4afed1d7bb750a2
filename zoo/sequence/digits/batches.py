"""Recordings as batches of codes to predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.sequence.digits.recordings import SILENCE, Recording

# A recording is followed by so much silence; shorter than the network's field, so that it differs from the
# silence before a word.
END = 512
_LONGEST = 6144
# Few lengths, so that few graphs of kernels are prepared.
_STEP = 256
_CHUNK = 16


@dataclass(frozen=True)
class Batch:
    """Codes of several recordings.

    Attributes:
        codes: ``(batch, samples)`` int32, what goes in: silence, then each sample but the last.
        targets: ``(batch, samples)`` int32, what follows each.
        weights: ``(batch, samples)`` float32, 1 where a target counts and 0 where not.
        ids: ``(batch, 2)`` int32, digit and speaker.
    """

    codes: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    ids: np.ndarray


def epoch(recordings: Sequence[Recording], *, size: int, field: int, seed: Sequence[int]) -> Iterator[Batch]:
    """Every recording once in drawn order, those of like length together.

    What is longer than 6,144 samples is cut to a drawn part, of which the first `field` targets do not
    count: the network has not seen what they depend on.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(recordings))
    batches = []
    for start in range(0, len(order), size * _CHUNK):
        chunk = sorted(order[start : start + size * _CHUNK], key=lambda i: len(recordings[i].sound))
        batches += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    for index in draw.permutation(len(batches)):
        parts = [_drawn(recordings[i], field, draw) for i in batches[index]]
        yield joined(parts, np.asarray([recordings[i].ids for i in batches[index]], np.int32))


def whole(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Codes from the silence before it to its last, and weights of the targets: all of them 1."""
    codes = recording.codes
    return np.concatenate([[SILENCE], codes]), np.ones(len(codes), np.float32)


def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]], ids: np.ndarray) -> Batch:
    """Sequences of codes with the weights of their targets, side by side."""
    length = -(-max(len(weights) for _, weights in parts) // _STEP) * _STEP
    codes = np.full((len(parts), length + 1), SILENCE, np.int32)
    counted = np.zeros((len(parts), length), np.float32)
    for row, (values, weights) in enumerate(parts):
        codes[row, : len(values)] = values
        counted[row, : len(weights)] = weights
    return Batch(codes[:, :-1], codes[:, 1:], counted, ids)


def _drawn(recording: Recording, field: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    codes = np.concatenate([[SILENCE], recording.codes, np.full(END, SILENCE)])
    weights = np.ones(len(codes) - 1, np.float32)
    over = len(weights) - _LONGEST
    start = max(0, int(draw.integers(-field, over + 1))) if over > 0 else 0
    if start:
        weights[start : start + field] = 0
    return codes[start : start + _LONGEST + 1], weights[start : start + _LONGEST]
