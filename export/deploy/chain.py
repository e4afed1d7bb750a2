"""Applies rewrites one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras

from zoo.export.deploy.batch_norm import fold_batch_norm
from zoo.export.deploy.dead_taps import drop_dead_taps
from zoo.export.deploy.far_taps import crop_far_taps
from zoo.export.deploy.graph import Graph, build, is_readable, read
from zoo.export.deploy.image_pooling import split_image_pooling
from zoo.export.deploy.result import Result
from zoo.export.deploy.rewrites import REWRITES, Rewrite
from zoo.export.deploy.static_shapes import static_shapes
from zoo.export.deploy.training_only import drop_training_only

_FUNCTIONS: dict[str, Callable[[Graph], Result]] = {
    "drop_training_only": drop_training_only,
    "drop_dead_taps": drop_dead_taps,
    "crop_far_taps": crop_far_taps,
    "split_image_pooling": split_image_pooling,
}


def apply(
    model: keras.Model,
    *,
    input_size: tuple[int, int] | None,
    names: tuple[str, ...],
    keep_tables: bool,
) -> tuple[keras.Model, tuple[Rewrite, ...]]:
    """See `zoo.export.deploy.rewrite`."""
    if not is_readable(model):
        note = "the model is not a functional graph with one input and one output"
        return model, tuple(Rewrite(name=n, enabled=n in names, notes=(note,)) for n in REWRITES)
    graph = read(model)
    functions: dict[str, Callable[[Graph], Result]] = {
        **_FUNCTIONS,
        "static_shapes": functools.partial(static_shapes, size=input_size),
        "fold_batch_norm": functools.partial(fold_batch_norm, keep_tables=keep_tables),
    }
    done = []
    for name in REWRITES:
        if name not in names:
            done.append(Rewrite(name=name, enabled=False))
            continue
        result = functions[name](graph)
        graph = result.graph
        done.append(
            Rewrite(name=name, enabled=True, places=result.places, saved=result.saved, notes=result.notes)
        )
    changed = any(entry.applied for entry in done)
    return build(graph) if changed else model, tuple(done)
