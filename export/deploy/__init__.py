"""Exact rewrites of a model before it is exported: less work for the runtime, the same numbers.

Training wants layers that deployment does not. Each rewrite is a function from `Graph` to `Graph` in a module
of its own; `rewrite` applies them in the order of `REWRITES` and leaves the given model as it is. Where a
rewrite does not know a layer, it leaves that layer alone.

Importing this package loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zoo.export.deploy.rewrites import AGAINST_PADDING, REWRITES, Rewrite, check_rewrites

if TYPE_CHECKING:
    import keras

__all__ = ["AGAINST_PADDING", "REWRITES", "Rewrite", "check_rewrites", "rewrite"]


def rewrite(
    model: keras.Model,
    *,
    input_size: tuple[int, int] | None = None,
    rewrites: Iterable[str] | None = None,
    keep_tables: bool = False,
) -> tuple[keras.Model, tuple[Rewrite, ...]]:
    """A model that computes the same with less, and what was done to it.

    Args:
        model: A functional model with one input, images ``(batch, height, width, channels)``, and one output.
            It stays untouched. Any other model is returned as it is.
        input_size: (height, width) of all images to come, or `None` for any.
        rewrites: Names in `REWRITES`; `None` for all.
        keep_tables: Whether kernels are to be tables of values, see `fold_batch_norm`.

    Returns:
        The rewritten model, which owns copies of the weights; and an account of each rewrite, those that were
        not asked for included. Layers that are neither Keras' nor the zoo's are shared with `model`. The
        model itself is returned where nothing applies.

    Raises:
        InputError: An unknown name.
    """
    names = check_rewrites(rewrites)
    from zoo.export.deploy.chain import apply

    return apply(model, input_size=input_size, names=names, keep_tables=keep_tables)
