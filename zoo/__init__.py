"""Semantic segmentation with dilated convolutions for Keras and TensorFlow.

``import zoo`` is light: TensorFlow is imported when a model is built or an image segmented.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from zoo._version import __version__

# An installed package holds `zoo.weights` and `zoo.export`. In a source checkout the two folders stand
# beside this one, and Python started there would find this folder first and miss them.
if not os.path.isdir(os.path.join(__path__[0], "weights")):
    from zoo._checkout import find_mapped_packages

    find_mapped_packages()

if TYPE_CHECKING:
    from zoo import (
        ablation,
        compression,
        datasets,
        dilation,
        errors,
        evaluation,
        export,
        hub,
        images,
        inference,
        labels,
        layers,
        metrics,
        models,
        sequence,
        training,
        weights,
    )
    from zoo.evaluation.scoring import evaluate
    from zoo.inference import segment
    from zoo.models.loading import load
    from zoo.models.registry import ModelInfo, info, list_models
    from zoo.sequence.generation import generate
    from zoo.sequence.processing import process
    from zoo.sequence.transcription import transcribe
    from zoo.training.recipe import Recipe
    from zoo.training.runs import train

_HOMES = {
    "load": "zoo.models.loading",
    "segment": "zoo.inference",
    "evaluate": "zoo.evaluation.scoring",
    "list_models": "zoo.models.registry",
    "info": "zoo.models.registry",
    "ModelInfo": "zoo.models.registry",
    "generate": "zoo.sequence.generation",
    "process": "zoo.sequence.processing",
    "transcribe": "zoo.sequence.transcription",
    "Recipe": "zoo.training.recipe",
    "train": "zoo.training.runs",
}
# Packages and modules that are attributes of `zoo` without an import of their own.
_PACKAGES = (
    "ablation",
    "compression",
    "datasets",
    "dilation",
    "errors",
    "evaluation",
    "export",
    "hub",
    "images",
    "inference",
    "labels",
    "layers",
    "metrics",
    "models",
    "sequence",
    "training",
    "weights",
)

# What imports Keras.
_NEED_KERAS = frozenset(
    {
        *("load", "evaluate", "train"),
        *("ablation", "compression", "hub", "layers", "training"),
    }
)

__all__ = [
    "ModelInfo",
    "Recipe",
    "__version__",
    "ablation",
    "compression",
    "datasets",
    "dilation",
    "errors",
    "evaluate",
    "evaluation",
    "export",
    "generate",
    "hub",
    "images",
    "inference",
    "info",
    "labels",
    "layers",
    "list_models",
    "load",
    "metrics",
    "models",
    "process",
    "segment",
    "sequence",
    "train",
    "training",
    "transcribe",
    "weights",
]


def __getattr__(name: str):
    if name in _NEED_KERAS:
        from zoo._backend import check_backend

        check_backend()
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
