"""What the training loop asks of a network in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import keras

from zoo.training.step import LossScale, StepResult


class Stepper(Protocol):
    """A network in training, as the loop sees it.

    Attributes:
        scale: Loss scale, which the loop puts back after a restart; 1 but in float16.
    """

    scale: LossScale

    def parts(self) -> dict[str, object]:
        """What a checkpoint holds: ``model``, ``optimizer`` and ``average`` of `Checkpoints`."""

    def step(self, batches: Iterator, *, number: int, stop: bool) -> StepResult:
        """Take batches and update the weights once.

        Args:
            batches: Of (image, mask).
            number: Steps done before this one.
            stop: Whether this process wants to stop; the result says whether any does.

        Raises:
            StopIteration: The batches have ended.
        """

    def learning_rate(self) -> float:
        """For the table of the run."""

    def snapshot(self) -> AbstractContextManager[keras.Model]:
        """The Keras 3 model to be scored and kept, as it is now; valid within the context."""

    def is_complete(self, step: int) -> bool:
        """Whether, after `step` steps, a snapshot is one that may be kept as the best."""

    def write(self, model: keras.Model, path: Path) -> None:
        """Save a snapshot, within its context."""

    def finish(self) -> None:
        """Called once after the last step."""
