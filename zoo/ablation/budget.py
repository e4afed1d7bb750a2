"""What all variants of a comparison are trained on, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import tensorflow as tf

from zoo.ablation.comparisons import Variant
from zoo.datasets import Dataset
from zoo.datasets.folds import Fold
from zoo.training.recipe import Recipe, augmentation_names, flat

# Those that do not decide what a network becomes: the seed has a place of its own, and no run is validated
# before its last step or has a second head.
_UNDECIDING = ("seed", "patience", "validate_every", "auxiliary")
# Younger than the runs of earlier versions, which are those without them.
_OFF = ("focus", "border_weight", "gamma", "gain", "shadow", "blur", "noise", "rare", "paste")


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
        folds: Parts of the training data: each variant is trained once without each, and scored on that part,
            on what it was trained on, and on `validation`. None for one training on all of it.
        tile: Windows through which large images are scored, as for `zoo.segment`.
    """

    training: Dataset
    validation: Dataset
    recipe: Recipe
    strategy: tf.distribute.Strategy
    loss: Callable | None = None
    cache: bool = False
    weights: str | None = "imagenet"
    extra: Mapping[str, object] = field(default_factory=dict)
    folds: tuple[Fold, ...] = ()
    tile: int | tuple[int, int] | None = None

    def of(self, variant: Variant, fold: Fold | None) -> Budget:
        """The budget of one run: the recipe with what the variant changes, without the fold's part.

        Raises:
            InputError: A change that a recipe does not allow.
        """
        if not variant.recipe and fold is None:
            return self
        changes = {name: value for name, value in variant.recipe.items() if name in augmentation_names()}
        others = {name: value for name, value in variant.recipe.items() if name not in changes}
        recipe = replace(self.recipe, augmentation=replace(self.recipe.augmentation, **changes), **others)
        training = self.training if fold is None else fold.training
        # The classes' weights are those of the data that is trained on.
        return replace(self, recipe=recipe, training=training, loss=None, folds=())


def deciding(recipe: Recipe) -> dict[str, object]:
    """The settings of a recipe that decide what a network becomes, but for the seed."""
    settings = {name: value for name, value in flat(recipe).items() if name not in _UNDECIDING}
    return {name: value for name, value in settings.items() if value or name not in _OFF}
