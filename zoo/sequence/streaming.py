"""Causal networks block by block: what each layer still needs of the past is an input and an output.

A network is written once, as a function that asks a `Past` for the samples before its own, under names
that make the layers' own (the same network, the same names). `Whole` has none
to give: the samples come with enough before them, and each layer gives fewer than it gets. `Blocks` takes
them from the state, one flat vector that a host hands back with the next block of samples.
"""

from __future__ import annotations

from typing import Protocol

import keras
import tensorflow as tf

from zoo.layers.common import PACKAGE, shaped


class Past(Protocol):
    """Where a layer's earlier samples come from."""

    def before(self, x, samples: int, *, name: str):
        """`x` with `samples` earlier ones in front; `x` itself where it brings them along."""

    def last_of(self, x, like, *, name: str):
        """The last of the samples of `x`, as many as `like` has."""


class Whole:
    """The whole sequence at once, as `Past`."""

    def before(self, x, samples: int, *, name: str):
        return x

    def last_of(self, x, like, *, name: str):
        return LastAs(name=f"{name}_last")([x, like])


class Padded(Whole):
    """The whole sequence at once, each layer preceded by zeros of its own, as `Past`."""

    def before(self, x, samples: int, *, name: str):
        return SilenceBefore(samples=samples, name=f"{name}_padded")(x) if samples else x

    def last_of(self, x, like, *, name: str):
        return x


class Blocks:
    """Blocks of samples, as `Past`; the layers ask for their samples in the same order at each call.

    Args:
        state: ``(batch, floats)``: the samples of all layers, in the order in which they ask.

    Attributes:
        floats: Length of the state, as far as it has been asked for.
    """

    def __init__(self, state):
        self._state, self.floats, self._parts = state, 0, []

    def before(self, x, samples: int, *, name: str):
        if not samples:
            return x
        channels = x.shape[-1]
        take = TakeState(start=self.floats, samples=samples, channels=channels, name=f"{name}_earlier")
        x = keras.layers.Concatenate(axis=1, name=f"{name}_samples")([take(self._state), x])
        self._parts.append(Kept(samples=samples, name=f"{name}_kept")(x))
        self.floats += samples * channels
        return x

    def last_of(self, x, like, *, name: str):
        return x

    def next_state(self):
        """The state for the next block."""
        joined = keras.layers.Concatenate(axis=1, name="next_state")
        return joined(self._parts) if len(self._parts) > 1 else self._parts[0]


@keras.saving.register_keras_serializable(PACKAGE)
class LastAs(keras.layers.Layer):
    """``[(batch, n, channels), (batch, m, any)]`` → the last m of the n samples."""

    def call(self, inputs):
        x, like = inputs
        length = tf.shape(like)[1]
        shape = self.compute_output_shape([x.shape, like.shape])
        return shaped(x[:, tf.shape(x)[1] - length :], shape)

    def compute_output_shape(self, input_shape):
        (batch, _, channels), like = input_shape
        return (batch, like[1], channels)


@keras.saving.register_keras_serializable(PACKAGE)
class SilenceBefore(keras.layers.Layer):
    """Puts zeros in front: ``(batch, n, channels)`` → ``(batch, samples + n, channels)``.

    Args:
        samples: How many.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, samples: int, **kwargs):
        super().__init__(**kwargs)
        self.samples = samples

    def call(self, x):
        return tf.pad(x, [[0, 0], [self.samples, 0], [0, 0]])

    def compute_output_shape(self, input_shape):
        batch, samples, channels = input_shape
        return (batch, None if samples is None else samples + self.samples, channels)

    def get_config(self):
        return {**super().get_config(), "samples": self.samples}


@keras.saving.register_keras_serializable(PACKAGE)
class TakeState(keras.layers.Layer):
    """One layer's samples out of the flat state: ``(batch, floats)`` → ``(batch, samples, channels)``.

    Args:
        start: Where they begin.
        samples: How many.
        channels: Of each sample.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, start: int, samples: int, channels: int, **kwargs):
        super().__init__(**kwargs)
        self.start, self.samples, self.channels = start, samples, channels

    def call(self, state):
        part = state[:, self.start : self.start + self.samples * self.channels]
        return tf.reshape(part, [-1, self.samples, self.channels])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.samples, self.channels)

    def get_config(self):
        place = {"start": self.start, "samples": self.samples, "channels": self.channels}
        return {**super().get_config(), **place}


@keras.saving.register_keras_serializable(PACKAGE)
class Kept(keras.layers.Layer):
    """The last samples, flat: ``(batch, n, channels)`` → ``(batch, samples · channels)``.

    Args:
        samples: How many, at most n.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, samples: int, **kwargs):
        super().__init__(**kwargs)
        self.samples = samples

    def call(self, x):
        length = x.shape[1] or tf.shape(x)[1]
        return tf.reshape(x[:, length - self.samples :], [-1, self.samples * x.shape[-1]])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.samples * input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "samples": self.samples}
