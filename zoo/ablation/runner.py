"""Trains and scores the variants of a comparison; what is finished is never repeated."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from zoo._version import __version__
from zoo.ablation.comparisons import Comparison, Variant
from zoo.datasets import Dataset
from zoo.dilation.complexity import multiply_adds
from zoo.errors import DivergedError, FormatError, InputError
from zoo.evaluation.scoring import evaluate
from zoo.files import write_text
from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.models.heads.aspp import dead_taps
from zoo.models.loading import load
from zoo.training.engine import Settings, fit
from zoo.training.strategy import is_chief

RESULT = "result.json"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How every variant is trained, and on what; the same for all.

    Attributes:
        training: Data to train on.
        validation: Data to score on, once, after the last step.
        settings: Gives the engine's settings for a seed.
        batches: Gives for a seed and the index of the first batch the batches from there on.
        loss: Called with mask and logits.
        strategy: Where training runs.
        crop: Height and width of the crops.
        recipe: Plain data that decide training, but for the seed: whatever `settings`, `batches` and `loss`
            are made from.
        weights: Tag of the weights that training starts from, or `None`.
        extra: Further arguments of the model's builder, for all variants.
    """

    training: Dataset
    validation: Dataset
    settings: Callable[[int], Settings]
    batches: Callable[[int, int], tf.data.Dataset]
    loss: Callable
    strategy: tf.distribute.Strategy
    crop: tuple[int, int]
    recipe: Mapping[str, object]
    weights: str | None = "imagenet"
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """What a trained network reached on the validation data, all shares in 0…1.

    Attributes:
        mean_iou: Over all pixels.
        boundary_iou: Mean IoU over the pixels near borders; `None` where there are no borders.
        pixel_accuracy: Share of pixels that is right.
        iou: By class; `None` for a class that occurs nowhere.
        protocol: What was measured.
    """

    mean_iou: float
    boundary_iou: float | None
    pixel_accuracy: float
    iou: Mapping[str, float | None]
    protocol: str


@dataclass(frozen=True)
class Run:
    """One network, trained with one seed.

    Attributes:
        variant: Name.
        seed: Of the fresh layers, the order of the data, its augmentation, and dropout.
        scores: After the last step.
        seconds: That this call took.
        kept: Whether the result is of an earlier call.
    """

    variant: str
    seed: int
    scores: Scores
    seconds: float
    kept: bool


@dataclass(frozen=True)
class Cost:
    """What a variant costs, and what it cannot use, at the size of the crops.

    Attributes:
        parameters: Count of all variables.
        multiply_adds: Of the convolutions, for one crop.
        map_size: Rows and columns of the maps that the `beyond` rates stand on, or `None` without such.
        beyond: Rates that are as long as their map has rows or columns: some or all taps of their layers see
            only padding.
    """

    parameters: int
    multiply_adds: int
    map_size: tuple[int, int] | None
    beyond: tuple[int, ...]


def run_all(
    comparison: Comparison,
    *,
    budget: Budget,
    seeds: range,
    output: Path | None = None,
    tell: Callable[[Run, int, int], None] = lambda run, done, total: None,
) -> list[Run]:
    """Train and score every variant with every seed, seed by seed.

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
    plan = [(variant, seed) for seed in seeds for variant in comparison.variants]
    # What is wrong with them is told before anything is written.
    for variant in comparison.variants:
        settings_of(comparison, variant, budget.extra)
    budget.settings(seeds[0])
    budget.batches(seeds[0], 0)
    made: list[Run] = []
    for variant, seed in plan:
        run = _run(comparison, variant, seed, budget=budget, output=output)
        if run is None:
            return made
        made.append(run)
        tell(run, len(made), len(plan))
    return made


def settings_of(comparison: Comparison, variant: Variant, extra: Mapping[str, object]) -> dict[str, object]:
    """All builder arguments of a variant, with `extra` ones that do not touch the comparison.

    Raises:
        InputError: An extra argument that the comparison itself sets, for this variant or for all.
    """
    own = {**comparison.settings, **variant.settings}
    both = [name for name in extra if name in own]
    if both:
        raise InputError(
            f"{', '.join(both)}: set by the comparison {comparison.name} itself, for {variant.name}"
        )
    return {**own, **extra}


def build(comparison: Comparison, variant: Variant, *, extra: Mapping[str, object], **options) -> keras.Model:
    """The network of a variant; the options are those of `zoo.load`."""
    settings = settings_of(comparison, variant, extra)
    stride = settings.pop("output_stride", None)
    return load(comparison.model, settings=settings, output_stride=stride, **options)


def cost(comparison: Comparison, variant: Variant, *, budget: Budget) -> Cost:
    """What the variant costs at the size of the crops."""
    options = {"weights": None, "classes": budget.training.label_set, "input_shape": (*budget.crop, 3)}
    model = build(comparison, variant, extra=budget.extra, **options)
    kinds = DilatedConv2D | DilatedDepthwiseConv2D
    layers = [x for x in model.layers if isinstance(x, kinds) and max(x.kernel_size) == 3]
    places = {(layer.rate, tuple(layer.input.shape[1:3])) for layer in layers}
    beyond = {rate: size for rate, size in places if dead_taps(rate, size)}
    found = Cost(
        parameters=model.count_params(),
        multiply_adds=multiply_adds(model),
        map_size=min(beyond.values(), default=None),
        beyond=tuple(sorted(beyond)),
    )
    _forget_models()
    return found


# --- one run --------------------------------------------------------------------------------------------


def _run(
    comparison: Comparison, variant: Variant, seed: int, *, budget: Budget, output: Path | None
) -> Run | None:
    """One run, or `None` where it was interrupted."""
    since = time.perf_counter()
    setup = describe(comparison, variant, seed, budget=budget)
    folder = None if output is None else output / "runs" / f"{comparison.model}-{key_of(setup)}"
    scores = None if folder is None else _read(folder / RESULT, setup)
    kept = scores is not None
    if scores is None:
        scores = _train(comparison, variant, seed, budget=budget, folder=folder)
        if scores is None:
            return None
        if folder is not None and is_chief(budget.strategy):
            document = {"setup": setup, "scores": asdict(scores)}
            write_text(folder / RESULT, json.dumps(document, indent=2) + "\n")
            # A finished run needs no checkpoints, which are its largest files by far.
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return Run(variant.name, seed, scores, time.perf_counter() - since, kept)


def _train(
    comparison: Comparison, variant: Variant, seed: int, *, budget: Budget, folder: Path | None
) -> Scores | None:
    keras.utils.set_random_seed(seed)
    label_set: LabelSet = budget.training.label_set
    with budget.strategy.scope():
        options = {"weights": budget.weights, "classes": label_set}
        model = build(comparison, variant, extra=budget.extra, **options)
    try:
        history = fit(
            model,
            lambda start: budget.batches(seed, start),
            loss=budget.loss,
            settings=budget.settings(seed),
            strategy=budget.strategy,
            output=folder,
        )
    except DivergedError as error:
        raise DivergedError(f"{variant.name}, seed {seed}: {error}") from error
    if history.stopped == "interrupted":
        return None
    found = evaluate(model, budget.validation)
    del model, history
    _forget_models()
    if math.isnan(found.mean_iou):
        raise InputError(f"nothing to score: every pixel of the {budget.validation.split} masks is ignored")
    return Scores(
        mean_iou=found.mean_iou,
        boundary_iou=_number(found.mean_boundary_iou),
        pixel_accuracy=found.pixel_accuracy,
        iou={name: _number(value) for name, value in found.iou.items()},
        protocol=found.protocol,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _forget_models() -> None:
    """Keras remembers every graph that it traced; a dozen runs would hold a dozen of them."""
    keras.backend.clear_session()
    gc.collect()


# --- results on disk ------------------------------------------------------------------------------------


def describe(comparison: Comparison, variant: Variant, seed: int, *, budget: Budget) -> dict:
    """Everything that decides a run, as plain data.

    Data sets enter by the names and sizes of their files, so that a run is repeated after a change of files,
    but not because they were copied elsewhere.
    """
    document = {
        "model": comparison.model,
        "settings": settings_of(comparison, variant, budget.extra),
        "weights": budget.weights,
        "training": _described(budget.training),
        "validation": _described(budget.validation),
        "recipe": dict(budget.recipe),
        "replicas": budget.strategy.num_replicas_in_sync,
        "seed": seed,
        "versions": {"zoo": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    # As it will be read again: tuples are lists there.
    return json.loads(json.dumps(document, sort_keys=True))


def _described(dataset: Dataset) -> dict:
    files = hashlib.sha256()
    for pair in dataset.pairs:
        for path in pair:
            files.update(f"{path.name} {path.stat().st_size}\n".encode())
    return {
        "kind": dataset.name,
        "split": dataset.split,
        "samples": len(dataset),
        "files": files.hexdigest(),
        "limit": getattr(dataset, "limit", None),
        "labels": dataset.label_set.to_config(),
    }


def key_of(setup: Mapping) -> str:
    """Short name of a setup: the beginning of the SHA-256 of its JSON text."""
    return hashlib.sha256(json.dumps(setup, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path, setup: Mapping) -> Scores | None:
    """The scores in a result file; `None` where there is none."""
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["setup"] != setup:
            raise ValueError("another setup")
        return Scores(**document["scores"])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: no result of this run ({error}); delete it to repeat the run") from error
