"""A Keras model that takes blocks."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.sequence.nam.network import in_blocks, initial_state, sample_rate_of
from zoo.sequence.processing import USUAL_BLOCK, checked_block


class KerasStream:
    """A Keras model as a `zoo.sequence.processing.Stream`.

    Args:
        model: An amplifier model of `zoo.load`.
        block: Samples in a block.

    Raises:
        InputError: Another model, or a block that is no positive integer.
    """

    def __init__(self, model: keras.Model, *, block: int = USUAL_BLOCK):
        if not isinstance(model, keras.Model):
            raise InputError(f"process takes a model of sound, not {type(model).__name__}")
        self.block, self.sample_rate = checked_block(block), sample_rate_of(model)
        self._model = model
        self._blocks = in_blocks(model, block=self.block)
        self._step = tf.function(self._run, autograph=False)

    def _run(self, samples, state):
        return self._blocks([samples, state])

    def initial_state(self) -> np.ndarray:
        """See `zoo.sequence.processing.Stream`."""
        return initial_state(self._model)

    def step(self, samples: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `zoo.sequence.processing.Stream`."""
        output, state = self._step(samples, state)
        return output.numpy(), state.numpy()
