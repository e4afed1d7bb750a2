"""The batches of a recipe, read by this process or by a data service."""

from __future__ import annotations

import tensorflow as tf

from zoo.datasets import Dataset
from zoo.datasets import batches as stream
from zoo.errors import InputError
from zoo.training.recipe import Recipe
from zoo.training.strategy import SharedBatches


def batches_of(
    recipe: Recipe, data: Dataset, *, cache: bool = False, service: str | None = None
) -> SharedBatches:
    """Endless augmented batches of a data set, as `zoo.training.fit` takes them.

    Args:
        recipe: Size, changes and order.
        data: To read.
        cache: Whether decoded images stay in memory.
        service: Address of a data service that reads them instead.

    Raises:
        InputError: A cache with a service, which is elsewhere.
    """
    if cache and service is not None:
        raise InputError("a data service keeps no images in memory: leave out the cache")
    shape = {"batch_size": recipe.batch_size, "crop": recipe.crop, "augment": recipe.augmentation}

    def part(start: int, shard: tuple[int, int]) -> tf.data.Dataset:
        place = {"seed": recipe.seed, "start_step": start, "shard": shard}
        if service is not None:
            from zoo.datasets.service import served_batches

            return served_batches(data, service, **shape, **place)
        kept = {"shuffle": True, "repeat": None, "drop_remainder": True, "cache": cache}
        return stream(data, **shape, **place, **kept)

    return SharedBatches(recipe.batch_size, part)
