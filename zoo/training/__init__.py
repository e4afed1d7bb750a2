"""Losses, recipes, and the loop that trains a model. Importing this package loads no TensorFlow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.training import losses as losses
    from zoo.training.engine import fit as fit
    from zoo.training.optimizer import OptimizerConfig as OptimizerConfig
    from zoo.training.recipe import Recipe as Recipe
    from zoo.training.runs import train as train
    from zoo.training.schedule import Cosine as Cosine
    from zoo.training.schedule import Poly as Poly
    from zoo.training.settings import History as History
    from zoo.training.settings import Settings as Settings
    from zoo.training.strategy import make_strategy as make_strategy

_HOMES = {
    "Cosine": "zoo.training.schedule",
    "History": "zoo.training.settings",
    "OptimizerConfig": "zoo.training.optimizer",
    "Poly": "zoo.training.schedule",
    "Recipe": "zoo.training.recipe",
    "Settings": "zoo.training.settings",
    "fit": "zoo.training.engine",
    "make_strategy": "zoo.training.strategy",
    "train": "zoo.training.runs",
}

__all__ = [
    "Cosine",
    "History",
    "OptimizerConfig",
    "Poly",
    "Recipe",
    "Settings",
    "fit",
    "losses",
    "make_strategy",
    "train",
]


def __getattr__(name: str):
    if name == "losses":
        return importlib.import_module("zoo.training.losses")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
