"""Settings of a training run, and the history that it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from zoo.errors import InputError
from zoo.training.optimizer import OptimizerConfig
from zoo.training.precision import check_precision
from zoo.training.records import Row
from zoo.training.values import check_batch_statistics


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
        batch_statistics: ``"auto"``: where a batch has fewer than four images, batch normalization that came
            with statistics uses and keeps them; ``"always"``: it takes those of any batch, but never of a
            single value; ``"never"``: it keeps its own. See `zoo.layers.FusedBatchNormalization`.
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
    batch_statistics: str = "auto"
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
        check_batch_statistics(self.batch_statistics)


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
