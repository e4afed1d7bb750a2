"""Training of a Keras 3 model under any strategy, exactly resumable.

Keras' own ``fit`` works for one machine and is there for those who prefer it; under
``MultiWorkerMirroredStrategy`` Keras 3's fails. This one runs the same on one device, on several GPUs and on
several machines, and gives the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.models.surgery import without_auxiliary
from zoo.training.averaging import WeightAverage
from zoo.training.checkpoints import write_model
from zoo.training.loop import Loop, Report, Validate, check_patience
from zoo.training.modes import computing
from zoo.training.optimizer import frozen, make_optimizer, trainable_flags
from zoo.training.settings import History, Settings
from zoo.training.step import FIRST_SCALE, LossScale, StepResult, TrainStep
from zoo.training.strategy import Batches


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
    check_patience(settings, validate)
    synchronized = strategy.num_replicas_in_sync > 1
    with ExitStack() as stack:
        flags = stack.enter_context(frozen(model, settings.freeze))
        modes = {"precision": settings.precision, "batch_statistics": settings.batch_statistics}
        stack.enter_context(computing(model, synchronized=synchronized, **modes))
        stepper = KerasStepper(model, loss=loss, settings=settings, strategy=strategy, flags=flags)
        hooks = {"validate": validate, "output": output, "examples": examples, "report": report}
        return Loop(stepper, settings=settings, strategy=strategy, **hooks).run(batches)


def _check_scope(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    if not all(strategy.extended.variable_created_in_scope(v.value) for v in model.variables):
        raise InputError(
            "build the model under `with strategy.scope():`, or its replicas cannot share weights"
        )


class KerasStepper:
    """A Keras 3 model in training, on the replicas of a strategy; see `zoo.training.stepper.Stepper`.

    Args:
        model: Built under the scope of `strategy`, with its frozen parts and its precision set.
        loss: Called with the mask and the model's outputs; gives the mean over the pixels that count.
        settings: Of the run.
        strategy: Where the replicas run.
        flags: The layers' ``trainable`` flags that a saved model has.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        loss: Callable,
        settings: Settings,
        strategy: tf.distribute.Strategy,
        flags: Mapping[str, bool],
    ):
        self.model, self.flags = model, flags
        _seed_dropout(model, settings.seed)
        with strategy.scope():
            self.trained = without_auxiliary(model)  # what is scored and kept
            self.optimizer = make_optimizer(settings.optimizer, model.trainable_variables)
            momentum = settings.average
            self.average = None if momentum is None else WeightAverage(model, momentum=momentum)
        scaled = settings.precision == "float16"
        self._step = TrainStep(
            model,
            loss=loss,
            optimizer=self.optimizer,
            strategy=strategy,
            clip_norm=settings.clip_norm,
            accumulate=settings.accumulate,
            ignore_label=settings.ignore_label,
            scale=LossScale(FIRST_SCALE if scaled else 1.0),
            scaled=scaled,
            average=self.average,
        )

    @property
    def scale(self) -> LossScale:
        """That of the step."""
        return self._step.scale

    @scale.setter
    def scale(self, scale: LossScale) -> None:
        self._step.scale = scale

    def parts(self) -> dict[str, object]:
        return {"model": self.model, "optimizer": self.optimizer, "average": self.average}

    def step(self, batches: Iterator, *, number: int, stop: bool) -> StepResult:
        return self._step(batches, step=number, stop=stop)

    def learning_rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))

    @contextmanager
    def snapshot(self) -> Iterator[keras.Model]:
        with self.average.applied() if self.average else nullcontext():
            yield self.trained

    def is_complete(self, step: int) -> bool:
        return True

    def write(self, model: keras.Model, path: Path) -> None:
        plain = computing(self.model, precision="float32", synchronized=False)
        with plain, trainable_flags(self.model, self.flags):
            write_model(model, path)

    def finish(self) -> None:
        if self.average is not None:
            self.average.exchange()


def _seed_dropout(model: keras.Model, seed: int) -> None:
    """Start the model's random generators from `seed`, each differently."""
    states = [v for v in model.variables if "seed_generator" in v.path]
    for index, state in enumerate(states):
        state.assign([seed, index << 20])
