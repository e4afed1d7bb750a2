"""The learning rate of a run whose recipe gives none."""

from __future__ import annotations

from dataclasses import replace

import keras

from zoo.datasets.examination import Note
from zoo.layers.normalization import SMALL_BATCH
from zoo.models.heads.classifier import has_trained_classifier
from zoo.training.recipe import Recipe


def with_rate(recipe: Recipe, model: keras.Model, *, note: Note) -> Recipe:
    """The recipe with the learning rate that it has for this model.

    Args:
        recipe: Of a run.
        model: As it is before its first step.
        note: Called with a line where a trained classifier and small batches make it a small one.
    """
    if recipe.learning_rate is not None:
        return recipe
    is_tuning = recipe.batch_size < SMALL_BATCH and has_trained_classifier(model)
    rate = recipe.rate(is_tuning=is_tuning)
    if is_tuning:
        note(
            f"learning rate {rate:.3g}, as none is given: the classifier is trained already, and batches "
            f"have fewer than {SMALL_BATCH} images"
        )
    return replace(recipe, learning_rate=rate)
