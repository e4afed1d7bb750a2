"""A whole training run by a recipe: batches, loss, settings, validation, and the files that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.datasets import Dataset
from zoo.datasets import batches as stream
from zoo.datasets.check import SplitReport
from zoo.datasets.dataset import INVALID
from zoo.errors import InputError
from zoo.layers.resize import label_set_of
from zoo.models.surgery import without_auxiliary
from zoo.training.checkpoints import write_model
from zoo.training.engine import fit
from zoo.training.loop import Report, Validate
from zoo.training.losses import (
    Dice,
    LovaszSoftmax,
    OnlineHardExamples,
    SparseCrossEntropy,
    WeightedSum,
    WithAuxiliary,
)
from zoo.training.optimizer import OptimizerConfig
from zoo.training.recipe import Recipe
from zoo.training.schedule import Cosine, Poly
from zoo.training.settings import History, Settings
from zoo.training.strategy import Batches, is_chief

FINAL = "final.keras"
RECIPE = "recipe.json"
EXAMPLES = 4
# Xie et al. and Wu et al. count the hardest share of the pixels; a quarter is the usual one.
_HARD_SHARE = 0.25
_SCHEDULES = {"poly": Poly, "cosine": Cosine}


def train(
    model: keras.Model,
    data: Dataset,
    recipe: Recipe,
    *,
    validation: Dataset | None = None,
    output: Path | str | None = None,
    strategy: tf.distribute.Strategy | None = None,
    loss: Callable | None = None,
    examples: int = EXAMPLES,
    cache: bool = False,
    keep_final: bool = True,
    report: Report | None = None,
) -> History:
    """Train a model on a data set; with an output folder, go on where an earlier run was stopped.

    The folder receives what `zoo.training.fit` writes, ``recipe.json``, and at the end ``final.keras``: the
    model without an auxiliary head. The same model, data and recipe give the same weights; on one device to
    the bit, if TensorFlow's operations are deterministic.

    Args:
        model: A zoo model with the classes of the data, built under the scope of `strategy`; it is trained in
            place.
        data: To train on.
        recipe: How.
        validation: Scored at the end of each `Recipe.validate_every` epochs: ``miou`` and
            ``pixel_accuracy``. `None` for no scores, hence no ``best.keras``.
        output: Folder, made if missing, or `None` to write nothing.
        strategy: From `zoo.training.strategy.make_strategy`; one device by default.
        loss: In place of the recipe's: called with the mask and the model's outputs; gives the mean over the
            pixels that count.
        examples: Number of validation images that are drawn for TensorBoard.
        cache: Whether decoded images stay in memory, 4 bytes a pixel.
        keep_final: Whether ``final.keras`` is written.
        report: As for `zoo.training.fit`.

    Raises:
        InputError: A model, data set, recipe or folder that do not go together.
        DivergedError: A loss or gradient that is not finite.
        WorkerLostError: Another worker has ended.
    """
    _check(model, data, recipe, validation)
    strategy = strategy or tf.distribute.get_strategy()
    settings = settings_of(recipe, data)
    if loss is None:
        with strategy.scope():
            loss = loss_of(recipe, data)
    chief = is_chief(strategy)
    if chief:
        write_recipe(recipe, output)
    history = fit(
        model,
        batches_of(recipe, data, cache=cache),
        loss=loss,
        settings=settings,
        strategy=strategy,
        validate=scorer(validation),
        output=output,
        examples=_drawn(validation, examples),
        report=report,
    )
    if output is not None and keep_final and chief and history.stopped != "interrupted":
        write_model(without_auxiliary(model), Path(output) / FINAL)
    return history


def settings_of(recipe: Recipe, data: Dataset) -> Settings:
    """The settings of a run over a data set.

    Raises:
        InputError: Too few images for a batch, or a warm-up that is longer than the run.
    """
    epoch = recipe.steps_per_epoch(len(data))
    steps = epoch * recipe.epochs
    warmup = min(epoch, steps // 10) if recipe.warmup is None else round(recipe.warmup * epoch)
    kind = _SCHEDULES[recipe.schedule]
    optimizer = OptimizerConfig(
        learning_rate=kind(learning_rate=recipe.learning_rate, steps=steps, warmup=warmup),
        weight_decay=recipe.weight_decay,
        backbone_factor=recipe.backbone_factor,
    )
    return Settings(
        steps=steps,
        epoch_steps=epoch * recipe.validate_every,
        optimizer=optimizer,
        clip_norm=recipe.clip_norm,
        accumulate=recipe.accumulate,
        average=recipe.average,
        freeze=recipe.freeze,
        precision=recipe.precision,
        batch_statistics=recipe.batch_statistics,
        ignore_label=data.label_set.ignore_label,
        patience=recipe.patience,
        seed=recipe.seed,
    )


def batches_of(recipe: Recipe, data: Dataset, *, cache: bool = False) -> Batches:
    """Endless augmented batches of a data set, as `zoo.training.fit` takes them."""

    def from_batch(start: int) -> tf.data.Dataset:
        return stream(
            data,
            batch_size=recipe.batch_size,
            crop=recipe.crop,
            augment=recipe.augmentation,
            shuffle=True,
            seed=recipe.seed,
            repeat=None,
            drop_remainder=True,
            start_step=start,
            cache=cache,
        )

    return from_batch


def loss_of(recipe: Recipe, data: Dataset) -> Callable:
    """The loss of a recipe; where it balances, all masks of the data are read.

    Raises:
        InputError: Masks that cannot be read or hold values that are no class, where they are needed.
    """
    ignore = {"ignore_label": data.label_set.ignore_label}
    weights = class_weights(data) if recipe.balance else None
    makers = {
        "cross-entropy": lambda: SparseCrossEntropy(
            class_weights=weights, label_smoothing=recipe.label_smoothing, **ignore
        ),
        "ohem": lambda: OnlineHardExamples(keep_ratio=_HARD_SHARE, **ignore),
        "dice": lambda: Dice(every=recipe.region_every, **ignore),
        "lovasz": lambda: LovaszSoftmax(every=recipe.region_every, **ignore),
    }
    terms = [makers[name]() for name in recipe.loss]
    total = WeightedSum(terms, list(recipe.loss.values()))
    return WithAuxiliary(total) if recipe.auxiliary else total


def class_weights(data: Dataset) -> tuple[float, ...]:
    """The weight of each class that `zoo.datasets.check` suggests, from all masks of a data set.

    Raises:
        InputError: A mask that cannot be read or holds a value that is no class.
    """
    values, total = data.values(), np.zeros(256, np.int64)
    for _, path in data.pairs:
        found = np.bincount(data.read_values(path).ravel(), minlength=256)
        wrong = np.flatnonzero((found > 0) & (values == INVALID))
        if wrong.size:
            raise InputError(
                f"{path} holds {wrong[0]}, which is no class, so the classes cannot be balanced: see "
                "`zoo dataset check`"
            )
        total += found
    pixels = tuple(int(total[values == label].sum()) for label in range(len(data.label_set)))
    return SplitReport(data.split, len(data), (), pixels, 0).weights


def scorer(validation: Dataset | None) -> Validate | None:
    """What scores a model on a data set: ``miou`` and ``pixel_accuracy``; `None` without one."""
    if validation is None:
        return None
    from zoo.evaluation.scoring import evaluate

    def score(model: keras.Model) -> dict[str, float]:
        evaluation = evaluate(model, validation)
        return {"miou": evaluation.mean_iou, "pixel_accuracy": evaluation.pixel_accuracy}

    return score


def write_recipe(recipe: Recipe, output: Path | str | None) -> None:
    """Keep the recipe of a run in its folder, made if missing; nothing without one."""
    if output is None:
        return
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error
    recipe.save(folder / RECIPE)


def _check(model: keras.Model, data: Dataset, recipe: Recipe, validation: Dataset | None) -> None:
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe must be a zoo.Recipe, not {recipe!r}")
    for name, given in (("data", data), ("validation", validation)):
        if not isinstance(given, Dataset) and not (given is None and name == "validation"):
            raise InputError(f"{name} must be what zoo.datasets.open_dataset gives, not {given!r}")
    found, wanted = len(label_set_of(model)), len(data.label_set)
    if found != wanted:
        raise InputError(
            f"the model has {found} classes and the data {wanted}: load it with classes=data.label_set"
        )


def _drawn(validation: Dataset | None, count: int) -> tuple[np.ndarray, ...]:
    """The first images of the validation data."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InputError(f"examples must be 0 or more, not {count!r}")
    count = 0 if validation is None else min(count, len(validation))
    return tuple(validation.read(index)[0] for index in range(count))
