"""Atrous spatial pyramid pooling (Chen et al. 2017, section 3.3)."""

from __future__ import annotations

import keras

from zoo.blocks import Norm, conv_bn_act, depthwise_bn_act
from zoo.errors import InputError
from zoo.layers import BroadcastLike


def image_pooling(x, channels: int, *, norm: Norm, name: str):
    """Mean over the whole map, 1×1 convolution, repeated over the map again."""
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.mean")(x)
    pooled = conv_bn_act(pooled, channels, norm=norm, name=name)
    return BroadcastLike(name=f"{name}.broadcast")([pooled, x])


def _dilated_branch(x, channels: int, *, rate: int, separable: bool, norm: Norm, name: str):
    if not separable:
        return conv_bn_act(x, channels, 3, rate=rate, norm=norm, name=name)
    x = depthwise_bn_act(x, 3, rate=rate, norm=norm, name=f"{name}.depthwise")
    return conv_bn_act(x, channels, norm=norm, name=f"{name}.pointwise")


def aspp(
    x,
    *,
    rates: tuple[int, ...],
    norm: Norm,
    channels: int = 256,
    pool: bool = True,
    pool_first: bool = False,
    separable: bool = False,
    dropout: float = 0.0,
    name: str = "aspp",
):
    """Parallel branches on one map, concatenated and projected.

    The branches are a 1×1 convolution, one 3×3 convolution for each rate, and image pooling. They stand side
    by side, so the gridding rules for stacked layers do not apply between them.

    Args:
        x: ``(batch, height, width, any)``.
        rates: Rates of the 3×3 branches; ``()`` is TF-DeepLab's mobile head, which has none.
        norm: Batch normalization's settings.
        channels: Width of every branch and of the result.
        pool: Whether there is an image pooling branch.
        pool_first: Where image pooling stands in the concatenation (TF-DeepLab: first, torchvision: last).
        separable: Depthwise and pointwise convolutions instead of full 3×3 ones.
        dropout: Rate of dropout after the projection.
        name: Prefix of the layers' names.

    Returns:
        ``(batch, height, width, channels)``.

    Raises:
        InputError: A rate that is no positive integer.
    """
    if any(not isinstance(rate, int) or rate < 1 for rate in rates):
        raise InputError(f"rates must be positive integers, not {rates!r}")
    branches = [conv_bn_act(x, channels, norm=norm, name=f"{name}.conv0")]
    for index, rate in enumerate(rates, start=1):
        options = {"rate": rate, "separable": separable, "norm": norm}
        branches.append(_dilated_branch(x, channels, name=f"{name}.conv{index}", **options))
    if pool:
        pooled = image_pooling(x, channels, norm=norm, name=f"{name}.pool")
        branches.insert(0 if pool_first else len(branches), pooled)
    x = branches[0] if len(branches) == 1 else keras.layers.Concatenate(name=f"{name}.concat")(branches)
    x = conv_bn_act(x, channels, norm=norm, name=f"{name}.project")
    return keras.layers.Dropout(dropout, name=f"{name}.dropout")(x) if dropout else x
