"""A whole training run by a recipe: batches, loss, settings, validation, and the files that it leaves."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.datasets import Dataset, SplitReport
from zoo.datasets.dataset import INVALID
from zoo.datasets.examination import Note, examined
from zoo.errors import InputError
from zoo.layers.normalization import SMALL_BATCH, SMALL_BATCH_NOTE, FusedBatchNormalization
from zoo.layers.resize import label_set_of
from zoo.models.surgery import without_auxiliary
from zoo.training.batching import batches_of
from zoo.training.checkpoints import made_folder, write_model
from zoo.training.destination import destination
from zoo.training.engine import fit
from zoo.training.identity import check_identity, identity_of, write_identity
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
from zoo.training.rates import with_rate
from zoo.training.recipe import Recipe
from zoo.training.schedule import Cosine, Poly
from zoo.training.settings import History, Settings
from zoo.training.strategy import is_chief

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
    tile: int | tuple[int, int] | None = None,
    skip_damaged: bool = False,
    data_service: str | None = None,
    note: Note = warnings.warn,
) -> History:
    """Train a model on a data set; with an output folder, go on where an earlier run was stopped.

    Before the first step every mask is decoded and every image's header read. The folder receives what
    `zoo.training.fit` writes, ``recipe.json``, ``run.json`` (what the run was begun with), and at the end
    ``final.keras``: the model without an auxiliary head. The same model, data and recipe give the same
    weights; on one device to the bit, if TensorFlow's operations are deterministic.

    Args:
        model: A zoo model with the classes of the data, built under the scope of `strategy`; it is trained in
            place.
        data: To train on.
        recipe: How.
        validation: Scored at the end of each `Recipe.validate_every` epochs: ``miou`` and
            ``pixel_accuracy``. `None` for no scores, hence no ``best.keras``.
        output: Folder, made if missing, or `None` to write nothing; or the address of one in a store, such
            as ``s3://bucket/run``, which is brought up to date at the end of each epoch and of the run.
        strategy: From `zoo.training.strategy.make_strategy`; one device by default.
        loss: In place of the recipe's: called with the mask and the model's outputs; gives the mean over the
            pixels that count.
        examples: Number of validation images that are drawn for TensorBoard.
        cache: Whether decoded images stay in memory, 4 bytes a pixel.
        keep_final: Whether ``final.keras`` is written.
        report: As for `zoo.training.fit`.
        tile: Windows through which validation sees large images, as for `zoo.segment`.
        skip_damaged: Whether every file is decoded first and samples that cannot be used are left out: of the
            validation, and of training with the next usable sample in their place.
        data_service: Address of a `tf.data` service that reads the training data, which must be records; see
            `zoo.datasets.service.served_batches`.
        note: Called with a line on what should be known, such as a class without a pixel.

    Raises:
        InputError: A model, data set, recipe or folder that do not go together; data in which
            `zoo.datasets.check` finds something wrong; a folder with the run of another model, data set or
            recipe.
        DivergedError: A loss or gradient that is not finite.
        WorkerLostError: Another worker has ended.
    """
    _check(model, data, recipe, validation)
    recipe = with_rate(recipe, model, note=note)
    strategy = strategy or tf.distribute.get_strategy()
    settings = settings_of(recipe, data)
    chief = is_chief(strategy)
    with destination(output, write=chief) as place:
        identity = None
        if place.folder is not None:
            identity = identity_of(model, data, validation, recipe)
            check_identity(place.folder, identity, note=note)
        _say_small_batches(model, recipe, note)
        data, validation = examined(data, validation, skip_damaged=skip_damaged, note=note)
        if loss is None:
            with strategy.scope():
                loss = loss_of(recipe, data)
        if chief and place.folder is not None:
            recipe.save(place.folder / RECIPE)
            write_identity(place.folder, identity)
        history = fit(
            model,
            batches_of(recipe, data, cache=cache, service=data_service),
            loss=loss,
            settings=settings,
            strategy=strategy,
            validate=scorer(validation, tile=tile),
            output=place.folder,
            examples=_drawn(validation, examples),
            report=place.told(report),
        )
        if place.folder is not None and keep_final and chief and history.stopped != "interrupted":
            write_model(without_auxiliary(model), place.folder / FINAL)
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
        learning_rate=kind(learning_rate=recipe.rate(), steps=steps, warmup=warmup),
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


def loss_of(recipe: Recipe, data: Dataset) -> Callable:
    """The loss of a recipe; where it balances, all masks of the data are read.

    Raises:
        InputError: Masks that cannot be read or hold values that are no class, where they are needed.
    """
    ignore = {"ignore_label": data.label_set.ignore_label}
    weights = class_weights(data) if recipe.balance else None
    makers = {
        "cross-entropy": lambda: SparseCrossEntropy(
            class_weights=weights,
            label_smoothing=recipe.label_smoothing,
            focus=recipe.focus,
            border_weight=recipe.border_weight,
            **ignore,
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
    if data.counted is not None:
        return SplitReport(data.split, len(data), (), data.counted[:-1], 0).weights
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


def scorer(validation: Dataset | None, *, tile: int | tuple[int, int] | None = None) -> Validate | None:
    """What scores a model on a data set: ``miou`` and ``pixel_accuracy``; `None` without one.

    Args:
        validation: To score on.
        tile: Windows through which large images are seen.
    """
    if validation is None:
        return None
    from zoo.evaluation.scoring import evaluate

    def score(model: keras.Model) -> dict[str, float]:
        evaluation = evaluate(model, validation, tile=tile, note=_quiet)
        return {"miou": evaluation.mean_iou, "pixel_accuracy": evaluation.pixel_accuracy}

    return score


def _quiet(message: str) -> None:
    """For what was said before the first step."""


def write_recipe(recipe: Recipe, output: Path | str | None) -> None:
    """Keep the recipe of a run in its folder, made if missing; nothing without one."""
    if output is not None:
        recipe.save(made_folder(output) / RECIPE)


def _say_small_batches(model: keras.Model, recipe: Recipe, note: Note) -> None:
    """Say so where batch normalization will keep its statistics because batches are small."""
    if recipe.batch_statistics != "auto" or recipe.batch_size >= SMALL_BATCH or "batch_norm" in recipe.freeze:
        return
    norms = [layer for layer in model.layers if isinstance(layer, FusedBatchNormalization)]
    if any(norm.came_with_statistics() for norm in norms):
        note(SMALL_BATCH_NOTE)


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
