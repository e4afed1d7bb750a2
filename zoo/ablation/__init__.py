"""Ablations: the papers' comparisons repeated, with the same training for each variant of a network.

The comparisons themselves are plain data; what trains and scores imports TensorFlow when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.ablation.comparisons import COMPARISONS, Comparison, Variant

if TYPE_CHECKING:
    from zoo.ablation.budget import Budget as Budget
    from zoo.ablation.networks import Cost as Cost
    from zoo.ablation.runner import Run as Run
    from zoo.ablation.runner import Scores as Scores
    from zoo.ablation.runner import run_all as run_all
    from zoo.ablation.summary import Difference as Difference
    from zoo.ablation.summary import Statistic as Statistic
    from zoo.ablation.summary import Summary as Summary

_HOMES = {
    "Budget": "zoo.ablation.budget",
    "Cost": "zoo.ablation.networks",
    "Difference": "zoo.ablation.summary",
    "Run": "zoo.ablation.runner",
    "Scores": "zoo.ablation.runner",
    "Statistic": "zoo.ablation.summary",
    "Summary": "zoo.ablation.summary",
    "run_all": "zoo.ablation.runner",
}

__all__ = [
    "COMPARISONS",
    "Budget",
    "Comparison",
    "Cost",
    "Difference",
    "Run",
    "Scores",
    "Statistic",
    "Summary",
    "Variant",
    "run_all",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
