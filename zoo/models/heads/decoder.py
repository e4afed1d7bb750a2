"""The decoder of DeepLabv3+ (Chen et al. 2018, section 3.1)."""

from __future__ import annotations

import keras

from zoo.errors import InputError
from zoo.layers.resize import Resize
from zoo.models.blocks import Norm, conv3x3, conv_bn_act

# Section 4.1: the best of table 1 and of table 2.
LOW_LEVEL_CHANNELS = 48
CONVOLUTIONS = 2


def decoder(
    x,
    low,
    *,
    norm: Norm,
    resize: str,
    low_level_channels: int = LOW_LEVEL_CHANNELS,
    channels: int = 256,
    convolutions: int = CONVOLUTIONS,
    separable: bool = True,
    separable_norm: bool = True,
    name: str = "decoder",
):
    """Features of the encoder, enlarged to the size of low-level ones, beside these, refined by convolutions.

    The low-level features are reduced first, so that they do not outweigh the encoder's (section 3.1).

    Args:
        x: ``(batch, h, w, any)``, features of the encoder.
        low: ``(batch, height, width, any)``, low-level features.
        norm: Batch normalization's settings.
        resize: Convention of `zoo.layers.resize.Resize`.
        low_level_channels: What a 1×1 convolution reduces `low` to.
        channels: Width of the 3×3 convolutions and of the result.
        convolutions: How many 3×3 convolutions there are.
        separable: Depthwise and pointwise convolutions instead of full 3×3 ones.
        separable_norm: Whether those have batch norm and ReLU in between.
        name: Prefix of the layers' names: ``<name>.low_level``, ``<name>.conv<1…>``.

    Returns:
        ``(batch, height, width, channels)``.

    Raises:
        InputError: A number of channels or of convolutions that is no positive integer.
    """
    given = {"low_level_channels": low_level_channels, "channels": channels, "convolutions": convolutions}
    for argument, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{argument} of the decoder must be a positive integer, not {value!r}")
    low = conv_bn_act(low, low_level_channels, norm=norm, name=f"{name}.low_level")
    x = Resize(convention=resize, name=f"{name}.resize")([x, low])
    x = keras.layers.Concatenate(name=f"{name}.concat")([x, low])
    for index in range(1, convolutions + 1):
        options = {"norm": norm, "separable": separable, "separable_norm": separable_norm}
        x = conv3x3(x, channels, name=f"{name}.conv{index}", **options)
    return x
