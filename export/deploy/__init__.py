"""Exact rewrites of a model before it is exported: less work for the runtime, the same numbers.

Training wants layers that deployment does not. Each rewrite is a function from `Graph` to `Graph` in a module
of its own; `rewrite` applies them in the order of `REWRITES` and leaves the given model as it is. Where a
rewrite does not know a layer, it leaves that layer alone.

Importing this package loads no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.errors import InputError

if TYPE_CHECKING:
    import keras

# In the order in which they are applied. Shapes come before what needs them; batch norm is folded before
# projections are split, because a sum of two convolutions has no kernel to fold it into. Dead taps go
# before far ones are cropped, which leaves no convolution that another rewrite knows.
REWRITES = {
    "drop_training_only": "dropout, noise and identity layers are removed",
    "static_shapes": "the size of every map follows from the input size",
    "fold_batch_norm": "batch norm is folded into the convolution before it",
    "drop_dead_taps": "taps that see only padding at this size are removed",
    "crop_far_taps": "far taps are computed only where they see the map (TFLite without quantization)",
    "split_image_pooling": "image pooling is added behind the projection, not repeated before it",
}
# For runtimes that multiply the zeros of the padding.
AGAINST_PADDING = ("crop_far_taps",)


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """What became of one rewrite.

    Attributes:
        name: Key in `REWRITES`.
        enabled: Whether it was asked for.
        places: Where it applied: layers, or tensors for ``static_shapes``. 0 if there was nothing to do.
        saved: By what: ``"parameters"``, ``"taps"`` of kernels, ``"multiply_adds"`` for one image (only
            where sizes are static). Negative where a rewrite pays with one for another.
        notes: A line for each place that is worth one.
    """

    name: str
    enabled: bool
    places: int = 0
    saved: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def applied(self) -> bool:
        """Whether it changed anything."""
        return self.places > 0


def check_rewrites(rewrites: Iterable[str] | None) -> tuple[str, ...]:
    """The names in `rewrites` in the order of `REWRITES`; `None` stands for all.

    Raises:
        InputError: A name that is not one of `REWRITES`, or a single string.
    """
    if rewrites is None:
        return tuple(REWRITES)
    known = ", ".join(REWRITES)
    if isinstance(rewrites, str):
        raise InputError(f"rewrites takes a list of names ({known}), not {rewrites!r}")
    rewrites = list(rewrites)
    unknown = [name for name in rewrites if name not in REWRITES]
    if unknown:
        raise InputError(f"unknown rewrite {unknown[0]!r}; known: {known}")
    return tuple(name for name in REWRITES if name in rewrites)


def rewrite(
    model: keras.Model,
    *,
    input_size: tuple[int, int] | None = None,
    rewrites: Iterable[str] | None = None,
) -> tuple[keras.Model, tuple[Rewrite, ...]]:
    """A model that computes the same with less, and what was done to it.

    Args:
        model: A functional model with one input, images ``(batch, height, width, channels)``, and one output.
            It stays untouched. Any other model is returned as it is.
        input_size: (height, width) of all images to come, or `None` for any.
        rewrites: Names in `REWRITES`; `None` for all.

    Returns:
        The rewritten model, which owns copies of the weights; and an account of each rewrite, those that were
        not asked for included. Layers that are neither Keras' nor the zoo's are shared with `model`. The
        model itself is returned where nothing applies.

    Raises:
        InputError: An unknown name.
    """
    names = check_rewrites(rewrites)
    from zoo.export.deploy.chain import apply

    return apply(model, input_size=input_size, names=names)
