"""What all variants of a comparison are trained on, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from zoo.datasets import Dataset
from zoo.training.recipe import Recipe, flat

# Those that do not decide what a network becomes: the seed has a place of its own, and no run is validated
# before its last step or has a second head.
_UNDECIDING = ("seed", "patience", "validate_every", "auxiliary")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How every variant is trained, and on what; the same for all.

    Attributes:
        training: Data to train on.
        validation: Data to score on, once, after the last step.
        recipe: How; each run has a seed of its own instead of the recipe's.
        strategy: Where training runs.
        loss: Called with mask and logits; `None` for the recipe's. It is no part of what tells runs apart.
        cache: Whether decoded images stay in memory.
        weights: Tag of the weights that training starts from, or `None`.
        extra: Further arguments of the model's builder, for all variants.
    """

    training: Dataset
    validation: Dataset
    recipe: Recipe
    strategy: tf.distribute.Strategy
    loss: Callable | None = None
    cache: bool = False
    weights: str | None = "imagenet"
    extra: Mapping[str, object] = field(default_factory=dict)


def deciding(recipe: Recipe) -> dict[str, object]:
    """The settings of a recipe that decide what a network becomes, but for the seed."""
    return {name: value for name, value in flat(recipe).items() if name not in _UNDECIDING}
