"""Steps of a tf_keras network in training, on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import keras
import tensorflow as tf

from zoo.compression.bridge import Bridge
from zoo.compression.distillation import Distillation
from zoo.compression.optimizers import GroupedOptimizers
from zoo.layers.resize import label_set_of
from zoo.training.checkpoints import write_model
from zoo.training.settings import Settings
from zoo.training.step import LossScale, StepResult


class Student(Protocol):
    """A network in training, and the way back to a Keras 3 model."""

    bridge: Bridge

    def before_step(self, step: int) -> None:
        """Called before step number `step`, counted from 0."""

    def is_complete(self, step: int) -> bool:
        """Whether, after `step` steps, a snapshot has all of the compression that was asked for."""

    def snapshot(self) -> keras.Model:
        """The Keras 3 model as it would be handed over now; training can go on afterwards."""


class StudentStepper:
    """The network of a student in training; see `zoo.training.stepper.Stepper`.

    Args:
        student: What is trained.
        loss: Called with masks and logits; gives the mean over the pixels that count.
        settings: Of the run.
        distillation: A teacher, or `None`.

    Raises:
        InputError: A teacher of other classes, or nothing to train.
    """

    def __init__(
        self,
        student: Student,
        *,
        loss: Callable,
        settings: Settings,
        distillation: Distillation | None,
    ):
        self.student, self.loss, self.settings = student, loss, settings
        self.distillation, self.network = distillation, student.bridge.network
        if distillation is not None:
            distillation.check(student.bridge.model)
        self.labels = label_set_of(student.bridge.model)
        self._set_batch_statistics()
        tf.random.set_seed(settings.seed)
        self.optimizer = GroupedOptimizers(settings.optimizer, student.bridge)
        self.scale = LossScale()
        self._compiled = tf.function(self._update)

    def _set_batch_statistics(self) -> None:
        from zoo.compression.tf_layers import BatchNormalization

        for module in self.network.submodules:
            if isinstance(module, BatchNormalization):
                module.batch_statistics = self.settings.batch_statistics
                module.came_with_statistics()  # before a checkpoint of the run gives it others

    def parts(self) -> dict[str, object]:
        found = {id(v): v for v in self.network.weights}.values()
        named = [SimpleNamespace(path=f"{i:04d}", value=v) for i, v in enumerate(found)]
        return {
            "model": SimpleNamespace(variables=named),
            "optimizer": SimpleNamespace(variables=self.optimizer.state()),
            "average": None,
        }

    def step(self, batches: Iterator, *, number: int, stop: bool) -> StepResult:
        image, mask = next(batches)
        self.student.before_step(number)
        self.optimizer.set_rate(number)
        loss, norm = (float(value) for value in self._compiled(image, mask))
        return StepResult(loss, norm, False, stop)

    def learning_rate(self) -> float:
        return self.optimizer.current

    @contextmanager
    def snapshot(self) -> Iterator[keras.Model]:
        yield self.student.snapshot()

    def is_complete(self, step: int) -> bool:
        return self.student.is_complete(step)

    def write(self, model: keras.Model, path: Path) -> None:
        write_model(model, path)

    def finish(self) -> None:
        """Nothing: the student gives its last snapshot when it is asked."""

    # --- one step -------------------------------------------------------------------------------------

    def _update(self, image, mask):
        variables, clip = self.optimizer.variables, self.settings.clip_norm
        with tf.GradientTape() as tape:
            loss = self._loss(image, mask, self.network(image, training=True))
            if self.network.losses:
                loss += tf.add_n([tf.cast(extra, tf.float32) for extra in self.network.losses])
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        norm = tf.linalg.global_norm(gradients)
        if clip is not None:
            gradients = [g * (clip / tf.maximum(norm, clip)) for g in gradients]
        self.optimizer.apply(gradients)
        return loss, norm

    def _loss(self, image, mask, logits):
        if self.distillation is None:
            return tf.cast(self.loss(mask, logits), tf.float32)
        options = {"student_labels": self.labels, "ignore_label": self.settings.ignore_label}
        return self.distillation(image, mask, logits, loss=self.loss, **options)
