"""Average of the weights over the last steps (Polyak & Juditsky 1992), as an exponential moving average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError


class WeightAverage:
    """Moving average of all float variables of a model, batch statistics included.

    The statistics belong to the weights: averaged weights under the statistics of the latest ones would
    normalize by the wrong scale.

    Args:
        model: Whose variables are averaged; make the average under the scope of the strategy.
        momentum: Share of the old average that a step keeps, at most ``(1 + step) / (10 + step)``, so that
            the first steps do not weigh for long.

    Raises:
        InputError: A momentum outside of 0…1.
    """

    def __init__(self, model: keras.Model, *, momentum: float):
        if not 0 < momentum < 1:
            raise InputError(f"momentum of the average must be between 0 and 1, not {momentum!r}")
        self.momentum = momentum
        self.sources = [v for v in model.variables if v.dtype.startswith(("float", "bfloat"))]
        self.averages = [
            tf.Variable(np.asarray(v), trainable=False, dtype=v.value.dtype) for v in self.sources
        ]

    def named(self) -> dict[str, tf.Variable]:
        """The averages by the path of their source."""
        return {v.path: average for v, average in zip(self.sources, self.averages, strict=True)}

    def update(self, step: tf.Tensor, *, strategy: tf.distribute.Strategy) -> None:
        """Take in the weights after `step` (from 0 on); call it outside of ``strategy.run``."""
        step = tf.cast(step, tf.float32)
        kept = tf.minimum(self.momentum, (1.0 + step) / (10.0 + step))
        for average, source in zip(self.averages, self.sources, strict=True):
            strategy.extended.update(
                average, lambda a, v: a.assign(kept * a + (1.0 - kept) * v), args=(source.value,)
            )

    def exchange(self) -> None:
        """Give the model the average, and keep the model's weights here; a second call undoes it."""
        for average, source in zip(self.averages, self.sources, strict=True):
            old = source.numpy()
            source.assign(average.numpy())
            average.assign(old)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights within the context."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()
