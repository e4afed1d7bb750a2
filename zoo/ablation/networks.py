"""The networks of a comparison: how they are built, and what they cost."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass

import keras

from zoo.ablation.budget import Budget
from zoo.ablation.comparisons import Comparison, Variant
from zoo.dilation.complexity import multiply_adds
from zoo.errors import InputError
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.models.heads.aspp import dead_taps
from zoo.models.loading import load


@dataclass(frozen=True)
class Cost:
    """What a variant costs, and what it cannot use, at the size of the crops.

    Attributes:
        parameters: Count of all variables.
        multiply_adds: Of the convolutions, for one crop.
        map_size: Rows and columns of the maps that the `beyond` rates stand on, or `None` without such.
        beyond: Rates that are as long as their map has rows or columns: some or all taps of their layers see
            only padding.
    """

    parameters: int
    multiply_adds: int
    map_size: tuple[int, int] | None
    beyond: tuple[int, ...]


def settings_of(comparison: Comparison, variant: Variant, extra: Mapping[str, object]) -> dict[str, object]:
    """All builder arguments of a variant, with `extra` ones that do not touch the comparison.

    Raises:
        InputError: An extra argument that the comparison itself sets, for this variant or for all.
    """
    own = {**comparison.settings, **variant.settings}
    both = [name for name in extra if name in own]
    if both:
        raise InputError(
            f"{', '.join(both)}: set by the comparison {comparison.name} itself, for {variant.name}"
        )
    return {**own, **extra}


def build(comparison: Comparison, variant: Variant, *, extra: Mapping[str, object], **options) -> keras.Model:
    """The network of a variant; the options are those of `zoo.load`."""
    settings = settings_of(comparison, variant, extra)
    stride = settings.pop("output_stride", None)
    return load(comparison.model, settings=settings, output_stride=stride, **options)


def cost(comparison: Comparison, variant: Variant, *, budget: Budget) -> Cost:
    """What the variant costs at the size of the crops."""
    options = {"weights": None, "classes": budget.training.label_set, "input_shape": (*budget.recipe.crop, 3)}
    model = build(comparison, variant, extra=budget.extra, **options)
    kinds = DilatedConv2D | DilatedDepthwiseConv2D
    layers = [x for x in model.layers if isinstance(x, kinds) and max(x.kernel_size) == 3]
    places = {(layer.rate, tuple(layer.input.shape[1:3])) for layer in layers}
    beyond = {rate: size for rate, size in places if dead_taps(rate, size)}
    found = Cost(
        parameters=model.count_params(),
        multiply_adds=multiply_adds(model),
        map_size=min(beyond.values(), default=None),
        beyond=tuple(sorted(beyond)),
    )
    forget_models()
    return found


def forget_models() -> None:
    """Keras remembers every graph that it traced; a dozen runs would hold a dozen of them."""
    keras.backend.clear_session()
    gc.collect()
