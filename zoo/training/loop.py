"""The training loop: steps, validation, early stopping, checkpoints and records of a run, for any stepper.

What one step does, and to which kind of network, is the stepper's part. The loop is the same on one device,
on several GPUs and on several machines, and for Keras 3 and tf_keras networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.errors import DivergedError, InputError, WorkerLostError
from zoo.layers.resize import label_set_of
from zoo.training.checkpoints import Checkpoints, RunState, made_folder
from zoo.training.feeding import DataError, Reading, reason_of
from zoo.training.interruption import Interruption
from zoo.training.records import Events, Row, Table, model_overlay
from zoo.training.settings import History, Settings
from zoo.training.step import StepResult
from zoo.training.stepper import Stepper
from zoo.training.strategy import Batches, distributed_iterator, is_chief

Validate = Callable[[keras.Model], Mapping[str, float]]
Report = Callable[[Row, Row], None]

BEST = "best.keras"
CHECKPOINTS = "checkpoints"


class Loop:
    """One run of a stepper; with an output folder it goes on where an earlier one stopped.

    Args:
        stepper: What is trained.
        settings: Steps, epochs, patience and all else that is not the stepper's own.
        strategy: Whose replicas are fed.
        validate: Called with a snapshot at the end of each epoch; gives the scores.
        output: Folder, made if missing, or `None` to write nothing.
        examples: Images ``(height, width, 3)`` uint8 whose overlays go to TensorBoard at each validation.
        report: Called at the end of each epoch, on the chief, with the new rows of both tables.

    Raises:
        InputError: A folder that cannot be made or holds another run; patience without a validation.
    """

    def __init__(
        self,
        stepper: Stepper,
        *,
        settings: Settings,
        strategy: tf.distribute.Strategy,
        validate: Validate | None = None,
        output: Path | str | None = None,
        examples: tuple[np.ndarray, ...] = (),
        report: Report | None = None,
    ):
        check_patience(settings, validate)
        self.stepper, self.settings, self.strategy = stepper, settings, strategy
        self.validate, self.examples, self.report = validate, examples, report
        self.chief = is_chief(strategy)
        self.folder = None if output is None else made_folder(output)
        self.state, self.checkpoints = self._restored()
        stepper.scale = self.state.loss_scale()
        self.training, self.validation, self.events = self._records()
        self.losses: list[float] = []

    def _restored(self) -> tuple[RunState, Checkpoints | None]:
        fresh = RunState(scale=self.stepper.scale.value)
        if self.folder is None:
            return fresh, None
        parts = self.stepper.parts()
        checkpoints = Checkpoints(self.folder / CHECKPOINTS, write=self.chief, **parts)
        return checkpoints.restore() or fresh, checkpoints

    def _records(self) -> tuple[Table, Table, Events]:
        folder, at = self.folder, {"step": self.state.step, "write": self.chief}
        if folder is None:
            return Table(None), Table(None), Events(None)
        tables = (Table(folder / f"{name}.csv", **at) for name in ("training", "validation"))
        return (*tables, Events(folder / "events" if self.chief else None))

    def run(self, batches: Batches) -> History:
        """Train to the end, to the end of patience, or to an interruption.

        Raises:
            InputError: Data that end too early, or a monitor that is no score.
            DivergedError: A loss or gradient that is not finite.
            WorkerLostError: Another worker has ended.
        """
        try:
            stopped = self._stopped(batches)
            self.stepper.finish()
        finally:
            self.events.close()
        state = self.state
        rows = (self.training.rows, self.validation.rows, self.losses)
        return History(*rows, state.best_score, state.best_step, state.step, stopped)

    def _stopped(self, batches: Batches) -> str:
        state, settings = self.state, self.settings
        if self._epoch_ends() and state.step:
            self._caught_up()
        if self._patience_over():
            return "early"
        if state.step >= settings.steps:
            return "finished"
        start = state.step * settings.accumulate
        iterator = Reading(distributed_iterator(batches, strategy=self.strategy, start=start))
        with Interruption() as interruption, self._bar() as bar, self._naming_lost_workers():
            return self._loop(iterator, interruption, bar)

    @contextmanager
    def _naming_lost_workers(self) -> Iterator[None]:
        """Say what an operation means that waited for a worker in vain."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            if self.strategy.cluster_resolver is None:
                raise
            kept = f" from the last checkpoint in {self.folder / CHECKPOINTS}" if self.folder else ""
            after = f"another worker has ended after step {self.state.step}"
            raise WorkerLostError(f"{after}; start all workers again to go on{kept}") from error

    def _bar(self) -> tqdm:
        """Steps and time left, on standard error."""
        shown = self.settings.progress
        hidden = None if shown is None else not shown
        options = {"disable": hidden if self.chief else True, "unit": "step", "dynamic_ncols": True}
        return tqdm(total=self.settings.steps, initial=self.state.step, **options)

    def _loop(self, iterator: Iterator, interruption: Interruption, bar: tqdm) -> str:
        state, settings = self.state, self.settings
        images, since = 0, time.perf_counter()
        while state.step < settings.steps:
            result = self._one(iterator, interruption.requested)
            bar.update()
            bar.set_postfix(loss=f"{result.loss:.4f}", refresh=False)
            images += settings.accumulate
            epoch_ends = self._epoch_ends()
            if epoch_ends:
                self._log(result, batches_per_second=images / (time.perf_counter() - since))
            # Before the validation, which may fail; what it finds stands in its table.
            if epoch_ends or result.stop or self._checkpoint_due():
                self._save()
            if epoch_ends:
                self._validated()
                self._tell()
                images, since = 0, time.perf_counter()
            if self._patience_over():
                return "early"
            if result.stop and state.step < settings.steps:
                return "interrupted"
        return "finished"

    def _one(self, iterator: Iterator, stop: bool) -> StepResult:
        state = self.state
        try:
            result = self.stepper.step(iterator, number=state.step, stop=stop)
        except DataError as error:
            if state.step:
                self._save()
            raise InputError(f"{error}{self._kept()}") from error
        except tf.errors.InvalidArgumentError as error:
            raise InputError(f"step {state.step + 1}: {reason_of(error)}") from error
        except StopIteration:
            raise InputError(
                f"the data ended after {state.step} of {self.settings.steps} steps; repeat them"
            ) from None
        if not math.isfinite(result.loss) or not (math.isfinite(result.norm) or result.skipped):
            raise DivergedError(self._advice(result))
        if result.skipped and self.stepper.scale.value < 1:
            raise DivergedError(self._advice(result))
        state.step += 1
        state.loss_sum += result.loss
        state.loss_count += 1
        state.remember(self.stepper.scale)
        self.losses.append(result.loss)
        return result

    def _advice(self, result: StepResult) -> str:
        what = "gradient" if math.isfinite(result.loss) else "loss"
        tries = ["a lower learning rate or a longer warm-up"]
        if self.settings.clip_norm is None:
            tries.append("clip_norm, such as 1.0")
        if self.settings.precision == "float16":
            tries.append("precision 'bfloat16' or 'float32'")
        kept = f"; the last good weights are in {self.folder / CHECKPOINTS}" if self.folder else ""
        named = ", ".join(tries)
        return (
            f"the {what} is not finite at step {self.state.step + 1}; try {named}, and check the data{kept}"
        )

    def _kept(self) -> str:
        step = self.state.step
        return f"; {step} steps are saved in {self.folder / CHECKPOINTS}" if self.folder and step else ""

    def _epoch_ends(self) -> bool:
        return self.state.step % self.settings.epoch_steps == 0 or self.state.step == self.settings.steps

    def _checkpoint_due(self) -> bool:
        every = self.settings.checkpoint_steps
        return every is not None and self.state.step % every == 0

    def _patience_over(self) -> bool:
        return self.settings.patience is not None and self.state.stale >= self.settings.patience

    # --- at the end of an epoch -----------------------------------------------------------------------

    def _log(self, result: StepResult, *, batches_per_second: float) -> None:
        state = self.state
        row = {
            "step": state.step,
            "loss": state.loss_sum / state.loss_count,
            "learning_rate": self.stepper.learning_rate(),
            "gradient_norm": result.norm,
            "batches_per_second": batches_per_second,
        }
        state.loss_sum, state.loss_count = 0.0, 0
        self.training.append(row)
        self._scalars("training", row)

    def _scalars(self, group: str, row: Row) -> None:
        values = {f"{group}/{name}": value for name, value in row.items() if name != "step"}
        self.events.scalars(values, step=row["step"])

    def _caught_up(self) -> None:
        """After a restart: the validation of the step that was saved, from its table, or made now."""
        rows = self.validation.rows
        if self.validate is None or self.folder is None:
            return
        if not rows or rows[-1]["step"] != self.state.step:
            self._validated()
        elif self.stepper.is_complete(self.state.step) and self.settings.monitor in rows[-1]:
            self._counted(rows[-1][self.settings.monitor])

    def _validated(self) -> None:
        """Validate, and keep the model if it is the best so far."""
        if self.validate is None:
            return
        with self.stepper.snapshot() as model:
            scores = {name: float(value) for name, value in self.validate(model).items()}
            monitor = self.settings.monitor
            if monitor not in scores:
                raise InputError(f"monitor {monitor!r} is no validation score; they are {', '.join(scores)}")
            if self.stepper.is_complete(self.state.step):
                self._compare(model, scores[monitor])
            self._draw_examples(model)
        row = {"step": self.state.step, **scores}
        self.validation.append(row)
        self._scalars("validation", row)

    def _counted(self, score: float) -> bool:
        """Whether a score is the best so far, which it then is."""
        state = self.state
        # Not `score > best`: the first score must win against NaN.
        if score <= state.best_score or math.isnan(score):
            state.stale += 1
            return False
        state.best_score, state.best_step, state.stale = score, state.step, 0
        return True

    def _compare(self, model: keras.Model, score: float) -> None:
        if not self._counted(score):
            return
        if self.folder is not None and self.chief:
            self.stepper.write(model, self.folder / BEST)

    def _draw_examples(self, model: keras.Model) -> None:
        if self.folder is None or not self.chief or not self.examples:
            return
        label_set = label_set_of(model)
        for index, image in enumerate(self.examples):
            drawn = model_overlay(model, image, label_set)
            self.events.image(f"examples/{index}", drawn, step=self.state.step)

    def _tell(self) -> None:
        if self.report is not None and self.chief:
            self.report(self.training.rows[-1], self.validation.rows[-1] if self.validate else {})

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.save(self.state)


def check_patience(settings: Settings, validate: Validate | None) -> None:
    """Raise an `InputError` where there is nothing that early stopping could go by."""
    if settings.patience is not None and validate is None:
        raise InputError("early stopping (patience) needs a validation")
