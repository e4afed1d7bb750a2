"""What decides a run, as plain data, and the short name that it gives the run's folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import keras
import tensorflow as tf

from zoo._version import __version__
from zoo.ablation.budget import Budget, deciding
from zoo.ablation.comparisons import Comparison, Variant
from zoo.ablation.networks import settings_of
from zoo.datasets import Dataset


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
        "recipe": deciding(budget.recipe),
        "replicas": budget.strategy.num_replicas_in_sync,
        "seed": seed,
        "versions": {"zoo": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    }
    if budget.tile is not None:  # runs of earlier versions had none
        document["tile"] = budget.tile
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
