"""ResNet (He et al. 2016), table 1, with bottlenecks, at any output stride.

One builder for the variants whose weights are published: torchvision's v1.5 with the 7×7 stem, and the
original v1 with the deep stem of three 3×3 convolutions (DUC-HDC). Features by name: ``c1`` (stem,
stride 2), ``c2`` (4), ``c3`` (8), ``c4`` (16) and ``c5`` (32) by the stride of the undilated network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import keras

from zoo.errors import InputError
from zoo.layers.common import wholes
from zoo.models.blocks import Norm, StrideTracker, activation, check_rates, conv_bn_act, max_pool
from zoo.models.conventions import Convention

# Bottlenecks in each of the four stages.
DEPTHS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
# The features of the stages that output stride 8 dilates.
DILATED = ("c4", "c5")
EXPANSION = 4


def stem(x, *, convention: Convention, norm: Norm, name: str):
    """7×7 at stride 2, or three 3×3 of which the first has the stride."""
    common = {"padding": convention.padding, "norm": norm}
    if not convention.deep_stem:
        return conv_bn_act(x, 64, 7, strides=2, name=f"{name}.stem", **common)
    first, second, third = convention.stem_channels
    x = conv_bn_act(x, first, 3, strides=2, name=f"{name}.stem1", **common)
    x = conv_bn_act(x, second, 3, name=f"{name}.stem2", **common)
    return conv_bn_act(x, third, 3, name=f"{name}.stem3", **common)


def bottleneck(
    x,
    width: int,
    *,
    stride: int,
    rate: int,
    convention: Convention,
    norm: Norm,
    branch_scale: float,
    name: str,
):
    """1×1 reduce, 3×3, 1×1 increase, added to the shortcut, then ReLU.

    `branch_scale` is what the last gamma of the branch starts from.
    """
    outputs = EXPANSION * width
    shortcut = x
    if stride != 1 or x.shape[-1] != outputs:
        shortcut = conv_bn_act(x, outputs, strides=stride, norm=norm, act=None, name=f"{name}.shortcut")
    first, second = (1, stride) if convention.stride_on_3x3 else (stride, 1)
    x = conv_bn_act(x, width, strides=first, norm=norm, name=f"{name}.reduce")
    middle = {"strides": second, "rate": rate, "padding": convention.padding}
    x = conv_bn_act(x, width, 3, norm=norm, name=f"{name}.middle", **middle)
    last = replace(norm, scale=branch_scale)
    x = conv_bn_act(x, outputs, norm=last, act=None, name=f"{name}.increase")
    x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return activation(x, "relu", name=name)


def _blocks(depth: str) -> tuple[int, ...]:
    if depth not in DEPTHS:
        raise InputError(f"depth must be one of {', '.join(DEPTHS)}, not {depth!r}")
    return DEPTHS[depth]


def dilated_blocks(depth: str) -> dict[str, tuple[int, ...]]:
    """Kernel sizes of the blocks that output stride 8 dilates, by the feature that they end in."""
    return {feature: (3,) * count for feature, count in zip(DILATED, _blocks(depth)[2:], strict=True)}


def _check_multi_grid(multi_grid: tuple[int, ...] | None, blocks: int) -> None:
    if multi_grid is None:
        return
    try:
        count = len(wholes(multi_grid, "multi_grid"))
    except InputError:
        count = 0
    if count != blocks:
        raise InputError(f"multi_grid takes {blocks} positive integers, not {multi_grid!r}")


def resnet(
    x,
    *,
    depth: str,
    convention: Convention,
    output_stride: int = 16,
    multi_grid: tuple[int, ...] | None = None,
    rates: Mapping[str, tuple[int, ...]] | None = None,
    name: str = "backbone",
) -> dict[str, keras.KerasTensor]:
    """Build the backbone on a normalized image.

    Args:
        x: ``(batch, height, width, 3)``, normalized as the convention says.
        depth: ``"resnet50"``, ``"resnet101"`` or ``"resnet152"``.
        convention: Stem, padding, place of the stride, epsilon, late dilation of the source of the weights.
        output_stride: 8, 16 or 32; strides beyond it become dilation.
        multi_grid: Factors of the rates of the last stage's blocks (DeepLabv3, section 3.2.1): each block,
            the first included, has its factor times the stage's rate, whatever `late_dilation` says.
            `None` leaves the rates to the running stride.
        rates: Rate of every block of the stages that end in ``c4`` and ``c5``, instead of what the running
            stride gives.
        name: Prefix of the layers' names: ``<name>.stem``, ``<name>.stage<1…4>.block<0…>``.

    Returns:
        Features ``c1`` to ``c5`` by name, ``(batch, height / stride, width / stride, channels)``.

    Raises:
        InputError: An unknown depth, or rates or a multi-grid that do not fit it.
    """
    rates, counts = rates or {}, _blocks(depth)
    check_rates(rates, dilated_blocks(depth))
    _check_multi_grid(multi_grid, counts[-1])
    norm = Norm(convention.epsilon, convention.batch_norm)
    # Fresh branches start at 1 / √blocks, so that the sum of all of them stays of the order of the input
    # (De and Smith 2020); at 1, each block doubles the variance, and 33 of them leave the range of float16.
    branch_scale = 1 / math.sqrt(sum(counts))
    tracker = StrideTracker(output_stride, late=convention.late_dilation)
    tracker.take(2)
    x = stem(x, convention=convention, norm=norm, name=name)
    features = {"c1": x}
    tracker.take(2)
    x = max_pool(x, padding=convention.pool_padding, name=f"{name}.pool")
    for stage, (blocks, width) in enumerate(zip(counts, WIDTHS, strict=True), start=1):
        feature = f"c{stage + 1}"
        for block in range(blocks):
            stride, rate = tracker.take(2 if block == 0 and stage > 1 else 1)
            if stage == 4 and multi_grid and stride == 1:
                rate = tracker.rate * multi_grid[block]
            rate = rates[feature][block] if feature in rates else rate
            x = bottleneck(
                x,
                width,
                stride=stride,
                rate=rate,
                convention=convention,
                norm=norm,
                branch_scale=branch_scale,
                name=f"{name}.stage{stage}.block{block}",
            )
        features[feature] = x
    return features
