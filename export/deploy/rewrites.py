"""Which rewrites there are, and what is told of each; loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zoo.errors import InputError

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
