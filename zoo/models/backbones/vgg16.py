"""VGG16 (Simonyan & Zisserman 2015, column D) as the front end of dense prediction, without any padding.

Yu & Koltun (2016, section 4) remove the last two poolings, dilate what follows them, and turn the fully
connected layers into convolutions. None of the convolutions pads, so each output cell reads 380×380 pixels of
the image itself; the image is extended by reflection before (`zoo.layers.ReflectionPadding2D`) by the
margin that the table of backbones states.
"""

from __future__ import annotations

from typing import NamedTuple

import keras

from zoo.errors import InputError
from zoo.layers import DilatedConv2D
from zoo.layers.common import CHANNELS_LAST
from zoo.models.blocks import StrideTracker, activation


class Stage(NamedTuple):
    """`repeats` 3×3 convolutions of `channels`, then a 2×2 pooling at stride 2."""

    repeats: int
    channels: int


STAGES = (Stage(2, 64), Stage(2, 128), Stage(3, 256), Stage(3, 512), Stage(3, 512))
DENSE_CHANNELS = 4096


def _conv_relu(x, channels: int, kernel_size: int = 3, *, rate: int = 1, name: str):
    x = DilatedConv2D(
        channels, kernel_size=kernel_size, rate=rate, padding="valid", use_bias=True, name=f"{name}.conv"
    )(x)
    return activation(x, "relu", name=name)


def vgg16(
    x, *, output_stride: int = 8, width: float = 1.0, dropout: float = 0.5, name: str = "backbone"
) -> dict[str, keras.KerasTensor]:
    """Build the front end on a normalized image that has its margin.

    Args:
        x: ``(batch, height + 372, width + 372, 3)``, normalized.
        output_stride: 4, 8, 16 or 32. A pooling beyond it is left out, and what follows is dilated: at 8
            (the paper's) conv5 has rate 2 and fc6 rate 4. The maximum that a pooling takes is lost with it,
            so features at different strides are not samples of each other.
        width: Multiplier of all channel counts.
        dropout: After each of the two fully connected layers.
        name: Prefix of the layers' names: ``<name>.stage<1…5>.conv<1…3>``, ``<name>.fc6``, ``<name>.fc7``.

    Returns:
        Features by name: ``c1`` to ``c5`` are the last of each stage, before its pooling; ``fc7`` is
        ``(batch, ⌈height / output_stride⌉, ⌈width / output_stride⌉, 4096 · width)``.

    Raises:
        InputError: An impossible width or output stride.
    """
    if not width > 0:
        raise InputError(f"width must be above 0, not {width!r}")
    tracker = StrideTracker(output_stride)
    features = {}
    for index, stage in enumerate(STAGES, start=1):
        channels = max(1, round(stage.channels * width))
        for conv in range(1, stage.repeats + 1):
            _, rate = tracker.take(1)
            x = _conv_relu(x, channels, rate=rate, name=f"{name}.stage{index}.conv{conv}")
        features[f"c{index}"] = x
        stride, _ = tracker.take(2)
        if stride == 2:
            # Caffe rounds up: the last window of an odd side holds what is there. That is SAME here, which
            # pads nothing ahead and ignores what it pads behind.
            x = keras.layers.MaxPooling2D(
                2, strides=2, padding="same", data_format=CHANNELS_LAST, name=f"{name}.stage{index}.pool"
            )(x)
    dense = max(1, round(DENSE_CHANNELS * width))
    for layer, size in (("fc6", 7), ("fc7", 1)):
        _, rate = tracker.take(1)
        x = _conv_relu(x, dense, size, rate=rate if size > 1 else 1, name=f"{name}.{layer}")
        x = keras.layers.Dropout(dropout, name=f"{name}.{layer}.dropout")(x)
    features["fc7"] = x
    return features
