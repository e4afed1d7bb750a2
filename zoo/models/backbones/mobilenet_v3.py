"""MobileNetV3-Large (Howard et al. 2019, "Searching for MobileNetV3"), table 1, at any output stride.

Features are named by the stride they have in the undilated network: ``c1`` (2) to ``c5`` (32). ``c3_first``
is the first block at stride 8, which the auxiliary head of torchvision's DeepLabv3 reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras

from zoo.errors import InputError
from zoo.layers.common import CHANNELS_LAST
from zoo.models.backbones.mobilenet_v2 import scaled
from zoo.models.blocks import Norm, StrideTracker, check_rates, conv_bn_act, depthwise_bn_act
from zoo.models.conventions import Convention

STEM_CHANNELS = 16
SQUEEZE = 4  # section 5.3: the squeezed layer has a quarter of the expanded channels


class Block(NamedTuple):
    """One row of table 1: an inverted residual, and the name of its feature where it ends a stage."""

    kernel: int
    expanded: int
    channels: int
    squeeze: bool
    act: str
    stride: int
    feature: str | None = None


BLOCKS = (
    Block(3, 16, 16, False, "relu", 1, "c1"),
    Block(3, 64, 24, False, "relu", 2),
    Block(3, 72, 24, False, "relu", 1, "c2"),
    Block(5, 72, 40, True, "relu", 2, "c3_first"),
    Block(5, 120, 40, True, "relu", 1),
    Block(5, 120, 40, True, "relu", 1, "c3"),
    Block(3, 240, 80, False, "hard_swish", 2),
    Block(3, 200, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 480, 112, True, "hard_swish", 1),
    Block(3, 672, 112, True, "hard_swish", 1, "c4"),
    Block(5, 672, 160, True, "hard_swish", 2),
    Block(5, 960, 160, True, "hard_swish", 1),
    Block(5, 960, 160, True, "hard_swish", 1),
)
LAST_CHANNELS = 960
# The blocks that output stride 8 dilates, by the feature that they end in.
DILATED = {"c4": range(6, 12), "c5": range(12, 15)}


def squeeze_excite(x, *, divisor: int, name: str):
    """Gate every channel by the mean of all (Hu et al. 2018), with a hard sigmoid (section 5.3)."""
    # Two 1×1 convolutions with biases and no batch norm.
    plain = Norm(0.0, enabled=False)
    squeezed = scaled(x.shape[-1] // SQUEEZE, width=1.0, divisor=divisor)
    gate = keras.layers.GlobalAveragePooling2D(CHANNELS_LAST, keepdims=True, name=f"{name}.mean")(x)
    gate = conv_bn_act(gate, squeezed, norm=plain, name=f"{name}.reduce")
    gate = conv_bn_act(gate, x.shape[-1], norm=plain, act="hard_sigmoid", name=f"{name}.expand")
    return keras.layers.Multiply(name=f"{name}.scale")([x, gate])


def inverted_residual(
    x, block: Block, *, width: float, stride: int, rate: int, convention: Convention, norm: Norm, name: str
):
    """Expand, depthwise, squeeze-and-excite where table 1 has it, project; a shortcut where shapes allow."""
    size = {"width": width, "divisor": convention.channel_divisor}
    shortcut, inputs, channels = x, x.shape[-1], scaled(block.channels, **size)
    expanded = scaled(block.expanded, **size)
    if expanded != inputs:
        x = conv_bn_act(x, expanded, norm=norm, act=block.act, name=f"{name}.expand")
    depthwise = {"strides": stride, "rate": rate, "padding": convention.padding}
    x = depthwise_bn_act(x, block.kernel, norm=norm, act=block.act, name=f"{name}.depthwise", **depthwise)
    if block.squeeze:
        x = squeeze_excite(x, divisor=convention.channel_divisor, name=f"{name}.squeeze")
    x = conv_bn_act(x, channels, norm=norm, act=None, name=f"{name}.project")
    if block.stride == 1 and channels == inputs:
        x = keras.layers.Add(name=f"{name}.add")([shortcut, x])
    return x


def dilated_blocks() -> dict[str, tuple[int, ...]]:
    """Kernel sizes of the blocks that output stride 8 dilates, by the feature that they end in."""
    return {feature: tuple(BLOCKS[i].kernel for i in blocks) for feature, blocks in DILATED.items()}


def _rates_of_blocks(rates: Mapping[str, tuple[int, ...]]) -> dict[int, int]:
    check_rates(rates, dilated_blocks())
    return {
        block: rate
        for feature, given in rates.items()
        for block, rate in zip(DILATED[feature], given, strict=True)
    }


def mobilenet_v3_large(
    x,
    *,
    convention: Convention,
    output_stride: int = 16,
    width: float = 1.0,
    rates: Mapping[str, tuple[int, ...]] | None = None,
    name: str = "backbone",
) -> dict[str, keras.KerasTensor]:
    """Build the backbone on a normalized image, up to the 960-channel convolution.

    Args:
        x: ``(batch, height, width, 3)``, normalized as the convention says.
        convention: Padding, epsilon, channel rounding and late dilation of the source of the weights.
        output_stride: 8, 16 or 32; strides beyond it become dilation.
        width: Multiplier of all channel counts.
        rates: Rate of every block that ends in ``c4`` (80 and 112 channels) or ``c5`` (160), instead of what
            the running stride gives.
        name: Prefix of the layers' names: ``<name>.stem``, ``<name>.block<0…14>``, ``<name>.last``.

    Returns:
        Features ``c1`` to ``c5`` and ``c3_first`` by name; each ``(batch, ⌈height / stride⌉,
        ⌈width / stride⌉, channels)``.

    Raises:
        InputError: An impossible width or output stride, or rates that do not fit the blocks.
    """
    if not width > 0:
        raise InputError(f"width must be above 0, not {width!r}")
    rates = _rates_of_blocks(rates or {})
    norm = Norm(convention.epsilon, convention.batch_norm)
    tracker = StrideTracker(output_stride, late=convention.late_dilation)
    size = {"width": width, "divisor": convention.channel_divisor}
    stride, _ = tracker.take(2)
    stem = {"strides": stride, "padding": convention.padding, "norm": norm, "act": "hard_swish"}
    x = conv_bn_act(x, scaled(STEM_CHANNELS, **size), 3, name=f"{name}.stem", **stem)
    features = {}
    for index, block in enumerate(BLOCKS):
        stride, rate = tracker.take(block.stride)
        rate = rates.get(index, rate)
        common = {"width": width, "convention": convention, "norm": norm}
        x = inverted_residual(x, block, stride=stride, rate=rate, name=f"{name}.block{index}", **common)
        if block.feature:
            features[block.feature] = x
    last = scaled(LAST_CHANNELS, **size)
    features["c5"] = conv_bn_act(x, last, norm=norm, act="hard_swish", name=f"{name}.last")
    return features
