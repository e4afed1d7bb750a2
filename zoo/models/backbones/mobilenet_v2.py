"""MobileNetV2 (Sandler et al. 2018), table 2, at any width and output stride.

Features are named by the stride they have in the undilated network: ``c1`` (2), ``c2`` (4), ``c3`` (8),
``c4`` (16), ``c5`` (32).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras

from zoo.errors import InputError
from zoo.layers.common import CHANNELS_LAST, wholes
from zoo.models.blocks import Norm, StrideTracker, check_rates, conv_bn_act, depthwise_bn_act
from zoo.models.conventions import Convention

STEM_CHANNELS = 32
# Table 2: the convolution ahead of the classifier of images, never narrower than this.
LAST_CHANNELS = 1280


class Stage(NamedTuple):
    """One row of table 2: `repeats` blocks, the first of them with `stride`."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    feature: str | None = None


STAGES = (
    Stage(1, 16, 1, 1, "c1"),
    Stage(6, 24, 2, 2, "c2"),
    Stage(6, 32, 3, 2, "c3"),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1, "c4"),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1, "c5"),
)
# The stages whose strides output stride 8 refuses, by the feature that they end in.
DILATED = {"c4": (3, 4), "c5": (5, 6)}
# The stage whose blocks the multi-grid of DeepLabv3 (section 3.2.1) speaks of: the last with several.
MULTI_GRID_STAGE = 5


def scaled(channels: int, *, width: float, divisor: int) -> int:
    """`channels` × `width`, rounded to a multiple of `divisor` without losing more than a tenth."""
    target = channels * width
    rounded = max(divisor, int(target + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * target else rounded


def inverted_residual(
    x,
    channels: int,
    *,
    expansion: int,
    stride: int,
    rate: int,
    padding: str,
    norm: Norm,
    name: str,
    pad_first: bool = False,
):
    """Expand 1×1, depthwise 3×3, project 1×1 without activation; a shortcut where shapes allow.

    With `pad_first` the input of the block is padded in place of that of its 3×3 convolution.
    """
    shortcut, inputs = x, x.shape[-1]
    if pad_first:
        x, padding = keras.layers.ZeroPadding2D(rate, CHANNELS_LAST, name=f"{name}.pad")(x), "valid"
    if expansion != 1:
        x = conv_bn_act(x, expansion * inputs, norm=norm, act="relu6", name=f"{name}.expand")
    depthwise = {"strides": stride, "rate": rate, "padding": padding}
    x = depthwise_bn_act(x, norm=norm, act="relu6", name=f"{name}.depthwise", **depthwise)
    x = conv_bn_act(x, channels, norm=norm, act=None, name=f"{name}.project")
    if stride == 1 and channels == inputs:
        x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return x


def dilated_blocks() -> dict[str, tuple[int, ...]]:
    """Kernel sizes of the blocks that output stride 8 dilates, by the feature that they end in."""
    return {feature: (3,) * sum(STAGES[i].repeats for i in stages) for feature, stages in DILATED.items()}


def _rates_of_stages(rates: Mapping[str, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    """Rates by the index of the stage from those by the feature."""
    check_rates(rates, dilated_blocks())
    by_stage = {}
    for feature, given in rates.items():
        first = 0
        for index in DILATED[feature]:
            by_stage[index] = tuple(given[first : first + STAGES[index].repeats])
            first += STAGES[index].repeats
    return by_stage


def mobilenet_v2(
    x,
    *,
    convention: Convention,
    output_stride: int = 16,
    width: float = 1.0,
    multi_grid: tuple[int, int, int] | None = None,
    rates: Mapping[str, tuple[int, ...]] | None = None,
    name: str = "backbone",
) -> dict[str, keras.KerasTensor]:
    """Build the backbone on a normalized image.

    Args:
        x: ``(batch, height, width, 3)``, normalized as the convention says.
        convention: Padding and where it happens, batch norm, channel rounding and late dilation of the source
            of the weights, and whether its ``c5`` lies behind the 1280-channel convolution.
        output_stride: 8, 16 or 32; strides beyond it become dilation.
        width: Multiplier of all channel counts.
        multi_grid: Factors of the rates of the three 160-channel blocks (DeepLabv3, section 3.2.1): each, the
            first included, has its factor times the stage's rate. `None` leaves the rates to the running
            stride, by which the first block keeps the rate before it.
        rates: Rate of every block that ends in ``c4`` (64 and 96 channels) or ``c5`` (160 and 320), instead
            of what the running stride and the multi-grid give.
        name: Prefix of the layers' names: ``<name>.stem``, ``<name>.block<0…16>``,
            ``<name>.last``.

    Returns:
        Features ``c1`` to ``c5`` by name; each ``(batch, ⌈height / stride⌉, ⌈width / stride⌉, channels)``.

    Raises:
        InputError: An impossible width, output stride or multi-grid, or rates that do not fit the blocks.
    """
    if not width > 0:
        raise InputError(f"width must be above 0, not {width!r}")
    if multi_grid is not None:
        multi_grid = wholes(multi_grid, "multi_grid", allowed="three positive integers")
        if len(multi_grid) != 3:
            raise InputError(f"multi_grid takes three positive integers, not {multi_grid!r}")
    rates = _rates_of_stages(rates or {})
    norm = Norm(convention.epsilon, convention.batch_norm)
    tracker = StrideTracker(output_stride, late=convention.late_dilation)
    size = {"width": width, "divisor": convention.channel_divisor}
    common = {"padding": convention.padding, "norm": norm}

    stride, _ = tracker.take(2)
    first = {**common, **({"padding": "valid"} if convention.pad_blocks else {})}
    x = conv_bn_act(
        x, scaled(STEM_CHANNELS, **size), 3, strides=stride, act="relu6", name=f"{name}.stem", **first
    )
    features, block = {}, 0
    for index, stage in enumerate(STAGES):
        grid = multi_grid if index == MULTI_GRID_STAGE else None
        for repeat in range(stage.repeats):
            stride, rate = tracker.take(stage.stride if repeat == 0 else 1)
            rate = tracker.rate * grid[repeat] if grid and stride == 1 else rate
            x = inverted_residual(
                x,
                scaled(stage.channels, **size),
                expansion=stage.expansion,
                stride=stride,
                rate=rates[index][repeat] if index in rates else rate,
                name=f"{name}.block{block}",
                pad_first=convention.pad_blocks,
                **common,
            )
            block += 1
        if stage.feature:
            features[stage.feature] = x
    if convention.wide_last:
        last = scaled(LAST_CHANNELS, width=max(1.0, width), divisor=convention.channel_divisor)
        features["c5"] = conv_bn_act(x, last, norm=norm, act="relu6", name=f"{name}.last")
    return features
