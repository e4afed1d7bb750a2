"""One optimizer step on any number of replicas: gradients, their sum, loss scaling, clipping, update.

Every replica's loss is a mean over its pixels that count, or, of a Keras loss, its share of the batch's
loss. The step weighs each mean by the number of those pixels, and adds the shares up, so that the result is
the mean over all of them, however the global batch was cut among replicas and among the micro-batches of an
accumulated step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.replicas import replica_sums
from zoo.training.averaging import WeightAverage

# The scale of the loss in float16: as Keras begins, doubled after so many steps without overflow.
FIRST_SCALE = 2.0**15
GROWTH_STEPS = 2000


@dataclass
class LossScale:
    """Dynamic loss scale of float16 (Micikevicius et al. 2018, section 3.2); 1 in other precisions."""

    value: float = 1.0
    good_steps: int = 0

    def update(self, *, finite: bool) -> None:
        """Halve after an overflow; double after `GROWTH_STEPS` steps without one."""
        self.good_steps = self.good_steps + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.good_steps == GROWTH_STEPS:
            self.value, self.good_steps = self.value * 2, 0


@dataclass(frozen=True)
class StepResult:
    """What one step tells.

    Attributes:
        loss: Mean over the pixels that count; NaN or infinite where the run has diverged.
        norm: Global norm of the gradient before clipping; infinite where `skipped`.
        skipped: Whether the gradient overflowed in float16 and the weights were left alone.
        stop: Whether any worker asked to stop.
    """

    loss: float
    norm: float
    skipped: bool
    stop: bool


class TrainStep:
    """Compiled optimizer step of one model.

    Args:
        model: Built under the scope of `strategy`.
        loss: Called with the mask and the model's outputs; gives the mean over the pixels that count.
        optimizer: From `zoo.training.optimizer.make_optimizer`, for the model's trainable variables.
        strategy: Where the replicas run.
        clip_norm: Limit of the global norm of the gradient, or `None`.
        accumulate: Micro-batches of one step.
        ignore_label: Pixels that do not count, or `None`.
        scale: Loss scale; used if `scaled`.
        scaled: Whether the loss is scaled, and overflowing steps are skipped (float16).
        average: Updated after every step, or `None`.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        loss: Callable,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        clip_norm: float | None = None,
        accumulate: int = 1,
        ignore_label: int | None = None,
        scale: LossScale | None = None,
        scaled: bool = False,
        average: WeightAverage | None = None,
    ):
        if clip_norm is not None and not (math.isfinite(clip_norm) and clip_norm > 0):
            raise InputError(f"clip_norm must be a number above 0 or None, not {clip_norm!r}")
        if not isinstance(accumulate, int) or accumulate < 1:
            raise InputError(f"accumulate must be a positive integer, not {accumulate!r}")
        self.model, self.loss, self.optimizer, self.strategy = model, loss, optimizer, strategy
        self.clip_norm, self.accumulate, self.ignore_label = clip_norm, accumulate, ignore_label
        self.scale, self.scaled, self.average = scale or LossScale(), scaled, average
        self._variables = list(model.trainable_variables)
        # On several replicas a Keras loss is that replica's share of the batch's: their sum is the whole.
        self._adds_up = isinstance(loss, keras.losses.Loss)
        # An overflow is known only after the gradient: those steps are two calls, as accumulated ones are.
        self._split = scaled or accumulate > 1
        self._sums = self._accumulators() if self._split else []
        self._at_once = tf.function(self._run_at_once)
        self._gather = tf.function(self._run_gather)
        self._apply = tf.function(self._run_apply)
        self._clear = tf.function(self._run_clear)

    def __call__(self, batches: Iterator, *, step: int, stop: bool = False) -> StepResult:
        """Take `accumulate` batches and make one update.

        Args:
            batches: Iterator of distributed batches (image, mask).
            step: Number of the step, from 0 on.
            stop: Whether this worker wants to stop; the result says whether any does.

        Raises:
            StopIteration: The batches have ended.
        """
        step, flag = tf.constant(step, tf.int64), tf.constant(float(stop))
        if not self._split:
            loss, norm, stops = self._at_once(next(batches), flag, step)
            return StepResult(float(loss), float(norm), False, float(stops) > 0)
        return self._in_parts(batches, flag, step)

    def _in_parts(self, batches: Iterator, flag: tf.Tensor, step: tf.Tensor) -> StepResult:
        scale = tf.constant(self.scale.value if self.scaled else 1.0)
        totals = [0.0, 0.0, 0.0, 0.0]
        for _ in range(self.accumulate):
            seen = self._gather(next(batches), flag, scale)
            totals = [total + float(value) for total, value in zip(totals, seen, strict=True)]
        loss, weight, overflows, stops = totals
        loss = loss / weight if weight else 0.0
        if self.scaled:
            self.scale.update(finite=not overflows)
            if overflows:
                self._clear()
                return StepResult(loss, math.inf, True, stops > 0)
        norm = self._apply(tf.constant(weight, tf.float32), step)
        return StepResult(loss, float(norm), False, stops > 0)

    def _accumulators(self) -> list[tf.Variable]:
        """A sum of gradients of each replica's own; they are added up when they are applied."""
        with self.strategy.scope():
            return [
                tf.Variable(
                    tf.zeros(v.shape),
                    trainable=False,
                    synchronization=tf.VariableSynchronization.ON_READ,
                    aggregation=tf.VariableAggregation.SUM,
                )
                for v in self._variables
            ]

    # --- on one replica -------------------------------------------------------------------------------

    def _weighted(self, batch, scale):
        """(loss, gradients, weight) of this replica; the first two are multiplied by the weight.

        The weight stands inside of what is differentiated: synchronized batch normalization adds the other
        replicas' gradients to this one's, each of which must have its own weight by then.
        """
        image, mask = batch
        weight = own = self._counted(mask)
        if self._adds_up:
            (weight,) = replica_sums([own])
        with tf.GradientTape() as tape:
            outputs = self.model(image, training=True)
            loss = tf.cast(self.loss(mask, outputs), tf.float32)
            if self.model.losses:
                extras = tf.add_n([tf.cast(extra, tf.float32) for extra in self.model.losses])
                loss += extras / self.strategy.num_replicas_in_sync if self._adds_up else extras
            scaled = loss * weight * scale
        sources = [v.value for v in self._variables]
        gradients = tape.gradient(scaled, sources, unconnected_gradients="zero")
        return loss * weight, [tf.cast(g, tf.float32) / scale for g in gradients], own

    def _counted(self, mask) -> tf.Tensor:
        """Share of the pixels that count, which is their number but for a factor that all replicas have."""
        if self.ignore_label is None:
            return tf.constant(1.0)
        return tf.reduce_mean(tf.cast(mask != self.ignore_label, tf.float32))

    def _update(self, gradients, weight):
        """Mean, clip, apply; the norm before clipping."""
        gradients = [tf.math.divide_no_nan(g, weight) for g in gradients]
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm is not None:
            gradients = [g * (self.clip_norm / tf.maximum(norm, self.clip_norm)) for g in gradients]
        self.optimizer.apply(gradients, self._variables)
        return norm

    def _replica_at_once(self, batch, flag):
        loss, gradients, weight = self._weighted(batch, tf.constant(1.0))
        loss, weight, flag, *gradients = replica_sums([loss, weight, flag, *gradients])
        norm = self._update(gradients, weight)
        return tf.math.divide_no_nan(loss, weight), norm, flag

    def _replica_gather(self, batch, flag, scale):
        loss, gradients, weight = self._weighted(batch, scale)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.assign_add(gradient)
        return replica_sums([loss, weight, 1.0 - tf.cast(finite, tf.float32), flag])

    def _replica_apply(self, weight):
        gradients = replica_sums([total.read_value() for total in self._sums])
        norm = self._update(gradients, weight)
        self._replica_clear()
        return norm

    def _replica_clear(self):
        for total in self._sums:
            total.assign(tf.zeros(total.shape))

    # --- on all replicas ------------------------------------------------------------------------------

    def _on_replicas(self, function, *args):
        """Results of the first replica; all replicas have the same."""
        results = self.strategy.run(function, args=args)
        return tf.nest.map_structure(lambda r: self.strategy.experimental_local_results(r)[0], results)

    def _run_at_once(self, batch, flag, step):
        results = self._on_replicas(self._replica_at_once, batch, flag)
        self._follow(results, step)
        return results

    def _run_gather(self, batch, flag, scale):
        return self._on_replicas(self._replica_gather, batch, flag, scale)

    def _run_apply(self, weight, step):
        norm = self._on_replicas(self._replica_apply, weight)
        self._follow(norm, step)
        return norm

    def _run_clear(self):
        self.strategy.run(self._replica_clear)

    def _follow(self, after, step):
        """Update the average once the weights are written."""
        if self.average is not None:
            with tf.control_dependencies(tf.nest.flatten(after)):
                self.average.update(step, strategy=self.strategy)
