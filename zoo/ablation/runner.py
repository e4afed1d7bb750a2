"""Trains and scores the variants of a comparison; what is finished is never repeated."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras

from zoo.ablation import networks
from zoo.ablation.budget import Budget
from zoo.ablation.comparisons import Comparison, Variant
from zoo.ablation.keys import describe, key_of
from zoo.datasets.folds import Fold
from zoo.errors import DivergedError, FormatError, InputError
from zoo.evaluation.scoring import evaluate
from zoo.files import write_text
from zoo.labels import LabelSet
from zoo.training.runs import batches_of, settings_of, train
from zoo.training.strategy import is_chief

RESULT = "result.json"


@dataclass(frozen=True)
class Scores:
    """What a trained network reached on the validation data, all shares in 0…1.

    Attributes:
        mean_iou: Over all pixels.
        boundary_iou: Mean IoU over the pixels near borders; `None` where there are no borders.
        pixel_accuracy: Share of pixels that is right.
        iou: By class; `None` for a class that occurs nowhere.
        protocol: What was measured.
        training_iou: Mean IoU on what it was trained on, where a part was held out.
        validation_iou: Mean IoU on the validation data, where a part was held out.
    """

    mean_iou: float
    boundary_iou: float | None
    pixel_accuracy: float
    iou: Mapping[str, float | None]
    protocol: str
    training_iou: float | None = None
    validation_iou: float | None = None


@dataclass(frozen=True)
class Run:
    """One network, trained with one seed.

    Attributes:
        variant: Name.
        seed: Of the fresh layers, the order of the data, its augmentation, and dropout.
        scores: After the last step.
        seconds: That this call took.
        kept: Whether the result is of an earlier call.
        fold: Name of the part that was held out, or `None`.
    """

    variant: str
    seed: int
    scores: Scores
    seconds: float
    kept: bool
    fold: str | None = None


def run_all(
    comparison: Comparison,
    *,
    budget: Budget,
    seeds: range,
    output: Path | None = None,
    tell: Callable[[Run, int, int], None] = lambda run, done, total: None,
) -> list[Run]:
    """Train and score every variant with every seed, seed by seed, and without every fold, if there are any.

    With an output folder each run has a folder ``runs/<model>-<key>`` in it, where the key stands for all
    that decides the run: model, settings, weights, data, recipe, seed, and the versions of the libraries. A
    finished run is read from there, an interrupted one goes on from its last checkpoint. Comparisons may
    share the folder. The global random state of Keras is set by each run.

    Args:
        comparison: What to train.
        budget: How.
        seeds: One run of each variant for each.
        output: Folder, made if missing, or `None` to keep nothing.
        tell: Called as ``tell(run, done, total)`` after each run.

    Returns:
        The runs in the order of their making; fewer than all where Ctrl-C interrupted one.

    Raises:
        InputError: Settings that the model does not have or that a comparison sets itself, or a folder that
            cannot be written.
        FormatError: A result file of an earlier run that is damaged.
        DivergedError: A loss that is not finite; names the run.
    """
    folds = budget.folds or (None,)
    plan = [(v, seed, fold) for seed in seeds for fold in folds for v in comparison.variants]
    # What is wrong with them is told before anything is written.
    for variant in comparison.variants:
        networks.settings_of(comparison, variant, budget.extra)
        for fold in folds:
            of = budget.of(variant, fold)
            settings_of(of.recipe, of.training)
            batches_of(replace(of.recipe, seed=seeds[0]), of.training)(0)
    made: list[Run] = []
    for variant, seed, fold in plan:
        run = _run(comparison, variant, seed, budget=budget, fold=fold, output=output)
        if run is None:
            return made
        made.append(run)
        tell(run, len(made), len(plan))
    return made


# --- one run --------------------------------------------------------------------------------------------


def _run(
    comparison: Comparison,
    variant: Variant,
    seed: int,
    *,
    budget: Budget,
    fold: Fold | None,
    output: Path | None,
) -> Run | None:
    """One run, or `None` where it was interrupted."""
    since = time.perf_counter()
    budget = budget.of(variant, fold)
    scored = budget if fold is None else replace(budget, validation=fold.held_out)
    setup = describe(comparison, variant, seed, budget=scored)
    folder = None if output is None else output / "runs" / f"{comparison.model}-{key_of(setup)}"
    scores = None if folder is None else _read(folder / RESULT, setup)
    kept = scores is not None
    if scores is None:
        scores = _train(comparison, variant, seed, budget=budget, fold=fold, folder=folder)
        if scores is None:
            return None
        if folder is not None and is_chief(budget.strategy):
            document = {"setup": setup, "scores": asdict(scores)}
            write_text(folder / RESULT, json.dumps(document, indent=2) + "\n")
            # A finished run needs no checkpoints, which are its largest files by far.
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    part = None if fold is None else fold.name
    return Run(variant.name, seed, scores, time.perf_counter() - since, kept, part)


def _train(
    comparison: Comparison,
    variant: Variant,
    seed: int,
    *,
    budget: Budget,
    fold: Fold | None,
    folder: Path | None,
) -> Scores | None:
    keras.utils.set_random_seed(seed)
    label_set: LabelSet = budget.training.label_set
    with budget.strategy.scope():
        options = {"weights": budget.weights, "classes": label_set}
        model = networks.build(comparison, variant, extra=budget.extra, **options)
    try:
        history = train(
            model,
            budget.training,
            replace(budget.recipe, seed=seed),
            output=folder,
            strategy=budget.strategy,
            loss=budget.loss,
            cache=budget.cache,
            keep_final=False,
        )
    except DivergedError as error:
        raise DivergedError(f"{variant.name}, seed {seed}: {error}") from error
    if history.stopped == "interrupted":
        return None
    scores = _scores(model, budget, fold)
    del model, history
    networks.forget_models()
    return scores


def _scores(model: keras.Model, budget: Budget, fold: Fold | None) -> Scores:
    """On the validation data, or on the part that was held out, with the others beside."""
    data = budget.validation if fold is None else fold.held_out
    found = evaluate(model, data, tile=budget.tile)
    if math.isnan(found.mean_iou):
        raise InputError(f"nothing to score: every pixel of the {data.split} masks is ignored")
    beside = {}
    if fold is not None:
        for name, other in (("training_iou", budget.training), ("validation_iou", budget.validation)):
            beside[name] = _number(evaluate(model, other, tile=budget.tile).mean_iou)
    return Scores(
        mean_iou=found.mean_iou,
        boundary_iou=_number(found.mean_boundary_iou),
        pixel_accuracy=found.pixel_accuracy,
        iou={name: _number(value) for name, value in found.iou.items()},
        protocol=found.protocol if fold is None else f"{found.protocol}, without {fold.name}",
        **beside,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _read(path: Path, setup: Mapping) -> Scores | None:
    """The scores in a result file; `None` where there is none."""
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["setup"] != setup:
            raise ValueError("another setup")
        return Scores(**document["scores"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path}: no result of this run ({reason}); delete it to repeat the run") from error
