"""The training loop: any strategy, exactly resumable, with validation, early stopping and records.

Keras' own ``fit`` works for one machine and is there for those who prefer it; under
``MultiWorkerMirroredStrategy`` Keras 3's fails. This loop runs the same on one device, on several GPUs and on
several machines, and gives the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.errors import DivergedError, InputError, WorkerLostError
from zoo.layers.resize import label_set_of
from zoo.models.surgery import without_auxiliary
from zoo.training.averaging import WeightAverage
from zoo.training.checkpoints import Checkpoints, RunState, write_model
from zoo.training.interruption import Interruption
from zoo.training.modes import check_precision, computing
from zoo.training.optimizer import OptimizerConfig, frozen, make_optimizer, trainable_flags
from zoo.training.records import Events, Row, Table, model_overlay
from zoo.training.step import FIRST_SCALE, StepResult, TrainStep
from zoo.training.strategy import Batches, distributed_iterator, is_chief

Validate = Callable[[keras.Model], Mapping[str, float]]
Report = Callable[[Row, Row], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a run goes.

    Attributes:
        steps: Optimizer steps of the whole run.
        epoch_steps: Steps from one validation, checkpoint and line of the log to the next.
        checkpoint_steps: Further checkpoints after each so many steps, or `None`.
        optimizer: Kind, rates and decay.
        clip_norm: Limit of the global norm of the gradient, or `None`.
        accumulate: Batches whose gradients make one step.
        average: Momentum of the moving average of the weights, or `None`. Validation, the best model and the
            model at the end then have the averaged weights.
        freeze: Parts that are not trained; see `zoo.training.optimizer.freeze`.
        precision: ``"float32"``, ``"float16"`` (with loss scaling) or ``"bfloat16"``.
        ignore_label: Pixels of the masks that do not count, or `None`.
        monitor: Name of the validation score; larger is better.
        patience: Validations without a better score after which the run stops, or `None` for all steps.
        seed: Of dropout. The order of the data has a seed of its own.
        progress: Whether to show a bar; `None`: where standard error is a terminal.

    Raises:
        InputError: A value outside of the above.
    """

    steps: int
    epoch_steps: int
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    checkpoint_steps: int | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    average: float | None = None
    freeze: tuple[str, ...] = ()
    precision: str = "float32"
    ignore_label: int | None = None
    monitor: str = "miou"
    patience: int | None = None
    seed: int = 0
    progress: bool | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "epoch_steps", "checkpoint_steps", "patience"):
            value = getattr(self, name)
            optional = name in ("checkpoint_steps", "patience")
            if not (optional and value is None) and (not isinstance(value, int) or value < 1):
                raise InputError(f"{name} must be a positive integer, not {value!r}")
        check_precision(self.precision)


@dataclass(frozen=True)
class History:
    """What happened in a run, parts before an interruption included where it has an output folder.

    Attributes:
        training: A row for each epoch: ``step``, ``loss`` (mean over the epoch), ``learning_rate``,
            ``gradient_norm`` (of the last step), ``batches_per_second`` (compilation included).
        validation: A row for each validation: ``step`` and the scores.
        losses: Loss of every step that this call made.
        best_score: Best score of the validations; NaN without one.
        best_step: Steps done at that score.
        step: Steps done.
        stopped: ``"finished"``, ``"early"`` (patience is over) or ``"interrupted"``.
    """

    training: list[Row]
    validation: list[Row]
    losses: list[float]
    best_score: float
    best_step: int
    step: int
    stopped: str


def fit(
    model: keras.Model,
    batches: Batches,
    *,
    loss: Callable,
    settings: Settings,
    strategy: tf.distribute.Strategy | None = None,
    validate: Validate | None = None,
    output: Path | str | None = None,
    examples: tuple[np.ndarray, ...] = (),
    report: Report | None = None,
) -> History:
    """Train a model; with an output folder, go on where an earlier run of the same call was stopped.

    The folder receives ``checkpoints/``, ``training.csv``, ``validation.csv``, ``events/`` for TensorBoard,
    and ``best.keras``, the model of the best validation. A run that was killed at any step goes on from its
    last checkpoint and ends with the weights of an uninterrupted one; on one device to the bit, if
    TensorFlow's operations are deterministic (``tf.config.experimental.enable_op_determinism()``). Ctrl-C
    finishes the step, saves and returns; a second one raises KeyboardInterrupt at once.

    Several workers need one folder that all see. A worker that dies ends the run of the others: they wait for
    it in the step that runs, until TensorFlow notices that it is gone (about half a minute on an idle
    machine), and raise WorkerLostError. Start all of them again, as a cluster manager does that restarts a
    job of which a task has failed: their addresses may be others, and all go on from the last checkpoint. One
    worker alone cannot return to a cluster that runs.

    Args:
        model: A zoo model, built under the scope of `strategy`; it is trained in place.
        batches: Called with the index of the first batch to give; gives a `tf.data.Dataset` of
            (image float32 ``(batch, height, width, 3)`` in 0…255, mask int32 ``(batch, height, width)``) that
            goes on for the whole run. The same index must give the same batches.
        loss: Called with the mask and the model's outputs; gives the mean over the pixels that count.
        settings: Everything else.
        strategy: From `zoo.training.strategy.make_strategy`; one device by default.
        validate: Called with the model at the end of each epoch, on every worker; gives the scores. A model
            with an auxiliary output is scored without it, and so it stands in ``best.keras``.
        output: Folder, made if missing, or `None` to write nothing.
        examples: Images ``(height, width, 3)`` uint8 whose overlays go to TensorBoard at each validation.
        report: Called at the end of each epoch, on the chief, with the new rows of `History.training` and
            `History.validation`; the latter is empty without a validation.

    Returns:
        The history; the model has the final weights, averaged if that is set.

    Raises:
        InputError: Settings, a model or a folder that do not go together; data that end too early.
        DivergedError: A loss or gradient that is not finite.
        WorkerLostError: Another worker has ended.
    """
    strategy = strategy or tf.distribute.get_strategy()
    _check_scope(model, strategy)
    if settings.patience is not None and validate is None:
        raise InputError("early stopping (patience) needs a validation")
    synchronized = strategy.num_replicas_in_sync > 1
    with ExitStack() as stack:
        flags = stack.enter_context(frozen(model, settings.freeze))
        stack.enter_context(computing(model, precision=settings.precision, synchronized=synchronized))
        run = _Run(model, loss, settings, strategy, validate, output, examples, report, flags)
        stack.callback(run.close)
        return run.train(batches)


def _check_scope(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    if not all(strategy.extended.variable_created_in_scope(v.value) for v in model.variables):
        raise InputError(
            "build the model under `with strategy.scope():`, or its replicas cannot share weights"
        )


class _Run:
    """One call of `fit`: the parts of a run, and its loop."""

    def __init__(self, model, loss, settings: Settings, strategy, validate, output, examples, report, flags):
        self.report, self.flags = report, flags
        self.model, self.settings, self.strategy = model, settings, strategy
        self.validate, self.examples = validate, examples
        self.chief = is_chief(strategy)
        self.folder = _made(output)
        _seed_dropout(model, settings.seed)
        with strategy.scope():
            self.trained = without_auxiliary(model)  # what is scored and kept
            self.optimizer = make_optimizer(settings.optimizer, model.trainable_variables)
            momentum = settings.average
            self.average = None if momentum is None else WeightAverage(model, momentum=momentum)
        self.state, self.checkpoints = self._restored()
        self.training, self.validation, self.events = self._records()
        self.losses: list[float] = []
        scaled = settings.precision == "float16"
        self.step = TrainStep(
            model,
            loss=loss,
            optimizer=self.optimizer,
            strategy=strategy,
            clip_norm=settings.clip_norm,
            accumulate=settings.accumulate,
            ignore_label=settings.ignore_label,
            scale=self.state.loss_scale(),
            scaled=scaled,
            average=self.average,
        )

    def _restored(self) -> tuple[RunState, Checkpoints | None]:
        fresh = RunState(scale=FIRST_SCALE if self.settings.precision == "float16" else 1.0)
        if self.folder is None:
            return fresh, None
        checkpoints = Checkpoints(
            self.folder / "checkpoints",
            model=self.model,
            optimizer=self.optimizer,
            average=self.average,
            write=self.chief,
        )
        return checkpoints.restore() or fresh, checkpoints

    def _records(self) -> tuple[Table, Table, Events]:
        folder, at = self.folder, {"step": self.state.step, "write": self.chief}
        if folder is None:
            return Table(None), Table(None), Events(None)
        tables = (Table(folder / f"{name}.csv", **at) for name in ("training", "validation"))
        return (*tables, Events(folder / "events" if self.chief else None))

    def close(self) -> None:
        self.events.close()

    # --- the loop -------------------------------------------------------------------------------------

    def train(self, batches: Batches) -> History:
        state, settings = self.state, self.settings
        stopped = "early" if self._patience_over() else "finished"
        if state.step < settings.steps and stopped == "finished":
            start = state.step * settings.accumulate
            iterator = distributed_iterator(batches, strategy=self.strategy, start=start)
            with Interruption() as interruption, self._bar() as bar, self._naming_lost_workers():
                stopped = self._loop(iterator, interruption, bar)
        if self.average is not None:
            self.average.exchange()
        return History(
            self.training.rows,
            self.validation.rows,
            self.losses,
            state.best_score,
            state.best_step,
            state.step,
            stopped,
        )

    @contextmanager
    def _naming_lost_workers(self) -> Iterator[None]:
        """Say what an operation means that waited for a worker in vain."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            if self.strategy.cluster_resolver is None:
                raise
            kept = f" from the last checkpoint in {self.folder / 'checkpoints'}" if self.folder else ""
            after = f"another worker has ended after step {self.state.step}"
            raise WorkerLostError(f"{after}; start all workers again to go on{kept}") from error

    def _bar(self) -> tqdm:
        """Steps and time left, on standard error."""
        shown = self.settings.progress
        hidden = None if shown is None else not shown
        options = {"disable": hidden if self.chief else True, "unit": "step", "dynamic_ncols": True}
        return tqdm(total=self.settings.steps, initial=self.state.step, **options)

    def _loop(self, iterator, interruption: Interruption, bar: tqdm) -> str:
        state, settings = self.state, self.settings
        images, since = 0, time.perf_counter()
        while state.step < settings.steps:
            result = self._one(iterator, interruption.requested)
            bar.update()
            bar.set_postfix(loss=f"{result.loss:.4f}", refresh=False)
            images += settings.accumulate
            epoch_ends = state.step % settings.epoch_steps == 0 or state.step == settings.steps
            if epoch_ends:
                seconds = time.perf_counter() - since
                self._log(result, batches_per_second=images / seconds)
                self._validated()
                self._tell()
                images, since = 0, time.perf_counter()
            if epoch_ends or result.stop or self._checkpoint_due():
                self._save()
            if self._patience_over():
                return "early"
            if result.stop and state.step < settings.steps:
                return "interrupted"
        return "finished"

    def _one(self, iterator, stop: bool) -> StepResult:
        state = self.state
        try:
            result = self.step(iterator, step=state.step, stop=stop)
        except StopIteration:
            raise InputError(
                f"the data ended after {state.step} of {self.settings.steps} steps; repeat them"
            ) from None
        if not math.isfinite(result.loss) or not (math.isfinite(result.norm) or result.skipped):
            raise DivergedError(self._advice(result))
        if result.skipped and self.step.scale.value < 1:
            raise DivergedError(self._advice(result))
        state.step += 1
        state.loss_sum += result.loss
        state.loss_count += 1
        state.remember(self.step.scale)
        self.losses.append(result.loss)
        return result

    def _advice(self, result: StepResult) -> str:
        what = "gradient" if math.isfinite(result.loss) else "loss"
        tries = ["a lower learning rate or a longer warm-up"]
        if self.settings.clip_norm is None:
            tries.append("clip_norm, such as 1.0")
        if self.settings.precision == "float16":
            tries.append("precision 'bfloat16' or 'float32'")
        kept = f"; the last good weights are in {self.folder / 'checkpoints'}" if self.folder else ""
        named = ", ".join(tries)
        return (
            f"the {what} is not finite at step {self.state.step + 1}; try {named}, and check the data{kept}"
        )

    def _checkpoint_due(self) -> bool:
        every = self.settings.checkpoint_steps
        return every is not None and self.state.step % every == 0

    def _patience_over(self) -> bool:
        return self.settings.patience is not None and self.state.stale >= self.settings.patience

    # --- at the end of an epoch -----------------------------------------------------------------------

    def _log(self, result: StepResult, *, batches_per_second: float) -> None:
        state = self.state
        rate = self.optimizer.learning_rate
        row = {
            "step": state.step,
            "loss": state.loss_sum / state.loss_count,
            "learning_rate": float(keras.ops.convert_to_numpy(rate)),
            "gradient_norm": result.norm,
            "batches_per_second": batches_per_second,
        }
        state.loss_sum, state.loss_count = 0.0, 0
        self.training.append(row)
        self._scalars("training", row)

    def _scalars(self, group: str, row: Row) -> None:
        values = {f"{group}/{name}": value for name, value in row.items() if name != "step"}
        self.events.scalars(values, step=row["step"])

    def _validated(self) -> None:
        """Validate, and keep the model if it is the best so far."""
        if self.validate is None:
            return
        with self.average.applied() if self.average else nullcontext():
            scores = {name: float(value) for name, value in self.validate(self.trained).items()}
            if self.settings.monitor not in scores:
                known = ", ".join(scores)
                raise InputError(
                    f"monitor {self.settings.monitor!r} is no validation score; they are {known}"
                )
            score = scores[self.settings.monitor]
            # Not `score > best`: the first score must win against NaN.
            if not score <= self.state.best_score and not math.isnan(score):
                self.state.best_score, self.state.best_step, self.state.stale = score, self.state.step, 0
                self._keep_best()
            else:
                self.state.stale += 1
            self._draw_examples()
        row = {"step": self.state.step, **scores}
        self.validation.append(row)
        self._scalars("validation", row)

    def _keep_best(self) -> None:
        if self.folder is not None and self.chief:
            plain = computing(self.model, precision="float32", synchronized=False)
            with plain, trainable_flags(self.model, self.flags):
                write_model(self.trained, self.folder / "best.keras")

    def _draw_examples(self) -> None:
        if self.folder is None or not self.chief or not self.examples:
            return
        label_set = label_set_of(self.trained)
        for index, image in enumerate(self.examples):
            drawn = model_overlay(self.trained, image, label_set)
            self.events.image(f"examples/{index}", drawn, step=self.state.step)

    def _tell(self) -> None:
        if self.report is not None and self.chief:
            self.report(self.training.rows[-1], self.validation.rows[-1] if self.validate else {})

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self.state)


def _made(output: Path | str | None) -> Path | None:
    if output is None:
        return None
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error
    return folder


def _seed_dropout(model: keras.Model, seed: int) -> None:
    """Start the model's random generators from `seed`, each differently."""
    states = [v for v in model.variables if "seed_generator" in v.path]
    for index, state in enumerate(states):
        state.assign([seed, index << 20])
