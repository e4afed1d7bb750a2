"""Applies rewrites one after the other."""

from __future__ import annotations

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
    "fold_batch_norm": fold_batch_norm,
    "drop_dead_taps": drop_dead_taps,
    "crop_far_taps": crop_far_taps,
    "split_image_pooling": split_image_pooling,
}


def apply(
    model: keras.Model, *, input_size: tuple[int, int] | None, names: tuple[str, ...]
) -> tuple[keras.Model, tuple[Rewrite, ...]]:
    """See `zoo.export.deploy.rewrite`."""
    if not is_readable(model):
        note = "the model is not a functional graph with one input and one output"
        return model, tuple(Rewrite(name=n, enabled=n in names, notes=(note,)) for n in REWRITES)
    graph = read(model)
    done = []
    for name in REWRITES:
        if name not in names:
            done.append(Rewrite(name=name, enabled=False))
            continue
        result = static_shapes(graph, input_size) if name == "static_shapes" else _FUNCTIONS[name](graph)
        graph = result.graph
        done.append(
            Rewrite(name=name, enabled=True, places=result.places, saved=result.saved, notes=result.notes)
        )
    changed = any(entry.applied for entry in done)
    return build(graph) if changed else model, tuple(done)
