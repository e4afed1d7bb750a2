"""Checkpoints of a run by TensorFlow's own manager: everything that the next step depends on."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.files import check_local, literal_path, written_whole
from zoo.training.averaging import WeightAverage
from zoo.training.step import LossScale


@dataclass
class RunState:
    """Numbers of a run that live outside of TensorFlow; all fit a float64 exactly.

    Attributes:
        step: Optimizer steps done; times the micro-batches of a step, the position in the data.
        loss_sum: Of the steps since the last line of the log.
        loss_count: Number of those steps.
        best_score: Best validation score so far; NaN before the first.
        best_step: Steps done at that score.
        stale: Validations since then.
        scale: Loss scale.
        good_steps: Steps since the loss scale changed.
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best_score: float = float("nan")
    best_step: int = 0
    stale: int = 0
    scale: float = 1.0
    good_steps: int = 0

    def loss_scale(self) -> LossScale:
        """The loss scale at this state."""
        return LossScale(self.scale, self.good_steps)

    def remember(self, scale: LossScale) -> None:
        """Take over the loss scale."""
        self.scale, self.good_steps = scale.value, scale.good_steps


class Checkpoints:
    """Saves and restores a run in ``<folder>``; only the chief of several workers writes.

    A checkpoint is complete or not there: TensorFlow writes under temporary names, and names the new
    checkpoint in the file ``checkpoint`` last.

    Args:
        folder: Made if missing; all workers must see the same one.
        model: All its variables, the states of its random generators included.
        optimizer: Built.
        average: Or `None`.
        keep: Number of checkpoints that are kept.
        write: Whether this process is the chief.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        average: WeightAverage | None,
        keep: int = 2,
        write: bool = True,
    ):
        self.folder, self.write = Path(folder), write
        self._numbers = tf.Variable(np.zeros(len(fields(RunState))), dtype=tf.float64)
        groups = {
            "model": _by_name(model),
            "optimizer": _state_of(optimizer),
            "average": average.named() if average else {},
        }
        holders = {group: _holder(named) for group, named in groups.items()}
        self._checkpoint = tf.train.Checkpoint(run=self._numbers, **holders)
        if write:
            self.folder.mkdir(parents=True, exist_ok=True)
        named = contextlib.ExitStack()
        folder_name = named.enter_context(literal_path(self.folder))
        weakref.finalize(self, named.close)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, folder_name, max_to_keep=keep, checkpoint_name="step"
        )

    def save(self, state: RunState) -> None:
        """Write a checkpoint of `state` and of all variables as they are now."""
        if self.write:
            self._numbers.assign(np.array(astuple(state), np.float64))
            self._manager.save(checkpoint_number=state.step)

    def restore(self) -> RunState | None:
        """Restore the latest checkpoint; `None` where there is none.

        Raises:
            InputError: A checkpoint of another model, optimizer or average.
        """
        latest = self._manager.latest_checkpoint
        if latest is None:
            return None
        try:
            self._checkpoint.restore(latest).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise InputError(
                f"{self.folder / Path(latest).name} is of another model, optimizer, precision or average;"
                f" start in an empty folder, or with the settings it was made with ({_first_line(error)})"
            ) from error
        types = [type(field.default) for field in fields(RunState)]
        return RunState(*(kind(x) for kind, x in zip(types, self._numbers.numpy(), strict=True)))


def _by_name(model: keras.Model) -> dict[str, tf.Variable]:
    """Variables by path; Keras numbers the states of random generators through, so those count from 0."""
    states = [v for v in model.variables if "seed_generator" in v.path]
    named = {f"random/{index}": v.value for index, v in enumerate(states)}
    return named | {v.path: v.value for v in model.variables if "seed_generator" not in v.path}


def _state_of(optimizer: keras.optimizers.Optimizer) -> dict[str, tf.Variable]:
    """Variables by path, without a constant learning rate: a setting, which may change on a resume."""
    return {v.path: v.value for v in optimizer.variables if not v.path.endswith("/learning_rate")}


def _holder(named: Mapping[str, tf.Variable]) -> tf.Module:
    """Variables under their own names, so that a checkpoint of another model does not fit by accident."""
    holder = tf.Module()
    holder.variables_by_name = dict(named)
    return holder


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def write_model(model: keras.Model, path: Path) -> None:
    """Save a whole model so that `path` is, at every moment, a complete file or the one before it."""
    with written_whole(path) as part:
        model.save(part)


def made_folder(output: Path | str) -> Path:
    """The folder of a run, made if missing.

    Raises:
        InputError: A folder that cannot be made, or an address.
    """
    folder = check_local(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error
    return folder
