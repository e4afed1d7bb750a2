"""Learning rates over the steps of a run: a linear warm-up, then a polynomial or a half cosine."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError

PACKAGE = "atrous_zoo"


class _Warmed(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `learning_rate`, then what the subclass makes of the share of steps that are done."""

    def __init__(self, *, learning_rate: float, steps: int, warmup: int = 0, final: float = 0.0):
        super().__init__()
        if not np.isfinite(learning_rate) or learning_rate <= 0:
            raise InputError(f"learning_rate must be a number above 0, not {learning_rate!r}")
        if not isinstance(steps, int) or steps < 1:
            raise InputError(f"steps must be a positive integer, not {steps!r}")
        if not isinstance(warmup, int) or not 0 <= warmup < steps:
            raise InputError(f"warmup must be an integer from 0 to steps - 1 = {steps - 1}, not {warmup!r}")
        if not 0 <= final <= learning_rate:
            raise InputError(f"final must be from 0 to learning_rate = {learning_rate}, not {final!r}")
        self.learning_rate = float(learning_rate)
        self.steps, self.warmup, self.final = steps, warmup, float(final)

    def _remaining(self, done):
        """Share of the way from `final` to `learning_rate` when the share `done` of the steps is over."""
        raise NotImplementedError

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        done = tf.clip_by_value((step - self.warmup) / (self.steps - self.warmup), 0.0, 1.0)
        decayed = self.final + (self.learning_rate - self.final) * self._remaining(done)
        if not self.warmup:
            return decayed
        # The first step already learns, and the last of the warm-up has the full rate.
        rising = self.learning_rate * (step + 1.0) / self.warmup
        return tf.where(step < self.warmup, rising, decayed)

    def get_config(self):
        names = ("learning_rate", "steps", "warmup", "final")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(PACKAGE)
class Poly(_Warmed):
    """``final + (learning_rate − final) · (1 − done)^power``, as in Chen et al. 2017, section 4.1.

    Args:
        learning_rate: At the end of the warm-up.
        steps: Optimizer steps of the whole run, warm-up included; the rate stays at `final` after them.
        warmup: Steps of linear rise from ``learning_rate / warmup``; 0 for none.
        final: Rate at the end.
        power: 0.9 in the paper.

    Raises:
        InputError: A value outside of the above.
    """

    def __init__(self, *, power: float = 0.9, **kwargs):
        super().__init__(**kwargs)
        if not np.isfinite(power) or power <= 0:
            raise InputError(f"power must be a number above 0, not {power!r}")
        self.power = float(power)

    def _remaining(self, done):
        return (1.0 - done) ** self.power

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(PACKAGE)
class Cosine(_Warmed):
    """Half a cosine from `learning_rate` to `final` (Loshchilov & Hutter 2017, equation 5, without restarts).

    Arguments and errors as in `Poly`, without `power`.
    """

    def _remaining(self, done):
        return 0.5 * (1.0 + tf.cos(np.pi * done))
