"""How many bits a network needs for each sample of recordings that it has not heard."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.sequence.digits.batches import joined, whole
from zoo.sequence.digits.recordings import Recording

Ids = tuple[int, int]
_SIDE_BY_SIDE = 8


def network_bits(
    model: keras.Model,
    recordings: Sequence[Recording],
    *,
    conditions: Sequence[Callable[[Ids], Ids]] = (lambda ids: ids,),
) -> list[np.ndarray]:
    """Bits of each recording, all of its samples and none of the silence around it.

    Args:
        model: A WaveNet of digit and speaker.
        recordings: Of any length.
        conditions: What to tell the network in place of a recording's digit and speaker.

    Returns:
        For each of the conditions the bits of each recording, ``(recordings,)`` float64.
    """
    run = tf.function(lambda codes, targets, ids: _losses(model, codes, targets, ids), reduce_retracing=True)
    found = [np.zeros(len(recordings)) for _ in conditions]
    order = sorted(range(len(recordings)), key=lambda i: len(recordings[i].sound))
    for start in range(0, len(order), _SIDE_BY_SIDE):
        part = order[start : start + _SIDE_BY_SIDE]
        ids = [recordings[i].ids for i in part]
        for bits, condition in zip(found, conditions, strict=True):
            told = np.asarray(list(map(condition, ids)), np.int32)
            batch = joined([whole(recordings[i]) for i in part], told)
            losses = run(batch.codes, batch.targets, batch.ids).numpy().astype(np.float64)
            bits[part] = (losses * batch.weights).sum(axis=1) / math.log(2)
    return found


def per_sample(bits: np.ndarray, recordings: Sequence[Recording]) -> float:
    """Bits over samples, of all recordings together."""
    return float(bits.sum() / sum(len(recording.sound) for recording in recordings))


def _losses(model: keras.Model, codes, targets, ids):
    logits = tf.cast(model({"codes": codes, "ids": ids}), tf.float32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
