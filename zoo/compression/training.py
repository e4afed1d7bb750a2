"""The loop that fine-tunes a tf_keras network; resumable, with the losses and settings of `zoo.training`.

`zoo.training.engine.fit` trains Keras 3 models only. This loop runs on one device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import keras
import tensorflow as tf
from tqdm import tqdm

from zoo.compression.bridge import Bridge
from zoo.compression.distillation import Distillation
from zoo.compression.requirements import require
from zoo.errors import DivergedError, InputError
from zoo.layers.resize import label_set_of
from zoo.training.checkpoints import Checkpoints, RunState, write_model
from zoo.training.engine import History, Settings
from zoo.training.interruption import Interruption
from zoo.training.optimizer import BACKBONE, OptimizerConfig, part_of
from zoo.training.records import Row, Table

Batches = Callable[[int], tf.data.Dataset]
Validate = Callable[[keras.Model], Mapping[str, float]]
Report = Callable[[Row, Row], None]

BEST = "best.keras"
# Settings of the engine that have no meaning here, with the value that asks for nothing.
_UNSUPPORTED = {"accumulate": 1, "average": None, "precision": "float32", "checkpoint_steps": None}


class Student(Protocol):
    """A network in training, and the way back to a Keras 3 model."""

    bridge: Bridge

    def before_step(self, step: int) -> None:
        """Called before step number `step`, counted from 0."""

    def is_complete(self, step: int) -> bool:
        """Whether, after `step` steps, a snapshot has all of the compression that was asked for."""

    def snapshot(self) -> keras.Model:
        """The Keras 3 model as it would be handed over now; training can go on afterwards."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is fine-tuned.

    Attributes:
        batches: As for `zoo.training.engine.fit`: called with the index of the first batch to give.
        loss: Called with masks and logits; gives the mean over the pixels that count.
        settings: Steps, optimizer and all else; without accumulation, averaging and half precision.
        distillation: A teacher, or `None`.
        validate: Called with a snapshot at the end of each epoch; gives scores.
        output: Folder for checkpoints, tables and ``best.keras``, or `None`. A run that was stopped goes on
            from the end of its last epoch.
        report: Called at the end of each epoch with the new rows of training and validation.

    Raises:
        InputError: A setting that is not possible here.
    """

    batches: Batches
    loss: Callable
    settings: Settings
    distillation: Distillation | None = None
    validate: Validate | None = None
    output: Path | str | None = None
    report: Report | None = None

    def __post_init__(self) -> None:
        for name, neutral in _UNSUPPORTED.items():
            value = getattr(self.settings, name)
            if value != neutral:
                raise InputError(f"compression trains without {name}: leave it at {neutral!r}, not {value!r}")
        if self.settings.patience is not None and self.validate is None:
            raise InputError("early stopping (patience) needs a validation")


class _Optimizer:
    """tf_keras optimizers: one for the backbone and one for the rest, if their rates differ."""

    def __init__(self, config: OptimizerConfig, bridge: Bridge):
        self.config = config
        groups = _groups(bridge, apart=config.backbone_factor != 1)
        if not any(groups.values()):
            raise InputError("nothing to train: every part of the model is frozen")
        kernels = {id(t) for s, t in bridge.pairs if s.path.endswith("/kernel")}
        self.variables = [v for group in groups.values() for v in group]
        factors = {"backbone": config.backbone_factor, "rest": 1.0}
        self._parts = [(self._made(g, kernels), factors[name], g) for name, g in groups.items() if g]

    def _made(self, variables: list, kernels: set[int]):
        config, optimizers = self.config, require("tf_keras").optimizers
        common = {"weight_decay": config.weight_decay or None, "jit_compile": False}
        if config.kind == "adamw":
            rates = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": config.epsilon}
            made = optimizers.AdamW(1.0, **rates, **{**common, "weight_decay": config.weight_decay})
        else:
            made = optimizers.SGD(1.0, momentum=config.momentum, nesterov=config.nesterov, **common)
        spared = [v for v in variables if id(v) not in kernels]
        if config.weight_decay and spared:
            _without_decay(made, spared)
        made.build(variables)
        return made

    def state(self) -> list[SimpleNamespace]:
        """Variables for a checkpoint; the rate is set at every step."""
        found = [
            v for made, _, _ in self._parts for v in made.variables if v.shape.rank or v.dtype.is_integer
        ]
        return [SimpleNamespace(path=f"optimizer/{i:04d}", value=v) for i, v in enumerate(found)]

    def rate(self, step: int) -> float:
        """Learning rate of the head at a step."""
        rate = self.config.learning_rate
        return float(rate(step) if callable(rate) else rate)

    def set_rate(self, step: int) -> None:
        """Set the rates for a step."""
        rate = self.rate(step)
        for made, factor, _ in self._parts:
            made.learning_rate.assign(rate * factor)

    def apply(self, gradients: list) -> None:
        """Update the variables, in the order of `variables`."""
        rest = list(gradients)
        for made, _, group in self._parts:
            made.apply_gradients(zip(rest[: len(group)], group, strict=True))
            rest = rest[len(group) :]


def _without_decay(optimizer, variables: list) -> None:
    # By identity: tf_keras' own method compares names, which repeat here.
    spared = {id(v) for v in variables}
    optimizer._use_weight_decay = lambda variable: id(variable) not in spared


def _groups(bridge: Bridge, *, apart: bool) -> dict[str, list]:
    """Variables to train by their part of the model, those of frozen layers left out."""
    frozen = {id(target) for source, target in bridge.pairs if not source.trainable}
    groups: dict[str, list] = {"backbone": [], "rest": []}
    seen = set(frozen)
    for name, layer in bridge.layers.items():
        key = "backbone" if apart and part_of(name) == BACKBONE else "rest"
        for variable in layer.trainable_weights:
            if id(variable) not in seen:
                seen.add(id(variable))
                groups[key].append(variable)
    return groups


def train(student: Student, recipe: Recipe) -> History:
    """Train the network of a student; with an output folder, go on where an earlier run stopped.

    Returns:
        The history, as from `zoo.training.engine.fit`. A best score counts from the first complete snapshot
        on (see `Student.is_complete`), which stands in ``best.keras``.

    Raises:
        InputError: A checkpoint of other settings, or data that end too early.
        DivergedError: A loss that is not finite.
    """
    return _Run(student, recipe).run()


class _Run:
    """One call of `train`."""

    def __init__(self, student: Student, recipe: Recipe):
        self.student, self.recipe, self.settings = student, recipe, recipe.settings
        self.network = student.bridge.network
        if recipe.distillation is not None:
            recipe.distillation.check(student.bridge.model)
        self.labels = label_set_of(student.bridge.model)
        tf.random.set_seed(self.settings.seed)
        self.optimizer = _Optimizer(self.settings.optimizer, student.bridge)
        self.folder = None if recipe.output is None else Path(recipe.output)
        self.state, self.checkpoints = self._restored()
        self.training, self.validation = self._tables()
        self.losses: list[float] = []
        self._compiled = tf.function(self._step)

    def _restored(self) -> tuple[RunState, Checkpoints | None]:
        if self.folder is None:
            return RunState(), None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the output folder {self.folder}: {error.strerror}") from error
        found = {id(v): v for v in self.network.weights}.values()
        named = [SimpleNamespace(path=f"{i:04d}", value=v) for i, v in enumerate(found)]
        checkpoints = Checkpoints(
            self.folder / "checkpoints",
            model=SimpleNamespace(variables=named),
            optimizer=SimpleNamespace(variables=self.optimizer.state()),
            average=None,
        )
        return checkpoints.restore() or RunState(), checkpoints

    def _tables(self) -> tuple[Table, Table]:
        if self.folder is None:
            return Table(None), Table(None)
        at = {"step": self.state.step}
        return Table(self.folder / "training.csv", **at), Table(self.folder / "validation.csv", **at)

    # --- one step -------------------------------------------------------------------------------------

    def _step(self, image, mask):
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
        recipe = self.recipe
        if recipe.distillation is None:
            return tf.cast(recipe.loss(mask, logits), tf.float32)
        options = {"student_labels": self.labels, "ignore_label": self.settings.ignore_label}
        return recipe.distillation(image, mask, logits, loss=recipe.loss, **options)

    # --- the loop -------------------------------------------------------------------------------------

    def run(self) -> History:
        state, settings = self.state, self.settings
        stopped = "early" if self._patience_over() else "finished"
        if state.step < settings.steps and stopped == "finished":
            batches = iter(self.recipe.batches(state.step))
            with Interruption() as interruption, self._bar() as bar:
                stopped = self._loop(batches, interruption, bar)
        rows = (self.training.rows, self.validation.rows, self.losses)
        return History(*rows, state.best_score, state.best_step, state.step, stopped)

    def _bar(self) -> tqdm:
        hidden = None if self.settings.progress is None else not self.settings.progress
        options = {"disable": hidden, "unit": "step", "dynamic_ncols": True}
        return tqdm(total=self.settings.steps, initial=self.state.step, **options)

    def _loop(self, batches, interruption: Interruption, bar: tqdm) -> str:
        state, settings = self.state, self.settings
        while state.step < settings.steps:
            norm = self._one(batches)
            bar.update()
            if state.step % settings.epoch_steps == 0 or state.step == settings.steps:
                self._end_epoch(norm)
            if self._patience_over():
                return "early"
            if interruption.requested and state.step < settings.steps:
                self._save()
                return "interrupted"
        return "finished"

    def _one(self, batches) -> float:
        state = self.state
        try:
            image, mask = next(batches)
        except StopIteration:
            raise InputError(
                f"the data ended after {state.step} of {self.settings.steps} steps; repeat them"
            ) from None
        self.student.before_step(state.step)
        self.optimizer.set_rate(state.step)
        loss, norm = (float(value) for value in self._compiled(image, mask))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergedError(
                f"the loss or its gradient is not finite at step {state.step + 1}; try a lower learning "
                "rate, a longer warm-up or clip_norm, such as 1.0"
            )
        state.step += 1
        state.loss_sum, state.loss_count = state.loss_sum + loss, state.loss_count + 1
        self.losses.append(loss)
        return norm

    def _patience_over(self) -> bool:
        return self.settings.patience is not None and self.state.stale >= self.settings.patience

    def _end_epoch(self, norm: float) -> None:
        state = self.state
        rate = self.optimizer.rate(state.step - 1)
        row = {"step": state.step, "loss": state.loss_sum / state.loss_count, "learning_rate": rate}
        self.training.append({**row, "gradient_norm": norm})
        state.loss_sum, state.loss_count = 0.0, 0
        scored = self._validated()
        self._save()
        if self.recipe.report is not None:
            self.recipe.report(self.training.rows[-1], scored)

    def _validated(self) -> Row:
        if self.recipe.validate is None:
            return {}
        state, model = self.state, self.student.snapshot()
        scores = {name: float(value) for name, value in self.recipe.validate(model).items()}
        monitor = self.settings.monitor
        if monitor not in scores:
            raise InputError(f"monitor {monitor!r} is no validation score; they are {', '.join(scores)}")
        if self.student.is_complete(state.step):
            # Not `score > best`: the first score must win against NaN.
            if not scores[monitor] <= state.best_score and not math.isnan(scores[monitor]):
                state.best_score, state.best_step, state.stale = scores[monitor], state.step, 0
                if self.folder is not None:
                    write_model(model, self.folder / BEST)
            else:
                state.stale += 1
        self.validation.append({"step": state.step, **scores})
        return self.validation.rows[-1]

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self.state)


def best_of(student: Student, recipe: Recipe, history: History) -> keras.Model:
    """The model of the best validation where a folder keeps it, else that of the last step."""
    if recipe.output is not None and history.best_step:
        from zoo.models.loading import read_keras

        return read_keras(Path(recipe.output) / BEST)
    return student.snapshot()
