"""Pyramid pooling (Zhao et al. 2017, section 3.2)."""

from __future__ import annotations

from dataclasses import replace

import keras

from zoo.errors import InputError
from zoo.layers import AdaptiveAveragePooling2D
from zoo.layers.common import wholes
from zoo.layers.resize import Resize
from zoo.models.blocks import Norm, conv_bn_act

# Section 3.2: 1×1, 2×2, 3×3 and 6×6.
BINS = (1, 2, 3, 6)


def pyramid_pooling(
    x,
    *,
    norm: Norm,
    resize: str,
    bins: tuple[int, ...] = BINS,
    channels: int = 512,
    fuse_kernel: int = 3,
    map_first: bool = True,
    mean_norm: bool = True,
    dropout: float = 0.1,
    name: str = "pyramid",
):
    """Means over grids of several sizes beside the map itself, fused by a convolution.

    Each level is reduced by a 1×1 convolution to 1/N of the map's channels, N being the number of levels, so
    that all of them together weigh as much as the map.

    Args:
        x: ``(batch, height, width, any)``, any size.
        norm: Batch normalization's settings.
        resize: Convention of `zoo.layers.resize.Resize` by which the levels return to the size of the map.
            The paper's own Caffe layer aligns corners.
        bins: Cells in each direction, of each level.
        channels: Width of the result.
        fuse_kernel: Side of the convolution that fuses.
        map_first: Whether the map is concatenated ahead of the levels, or behind them.
        mean_norm: Whether the level of one cell, the mean of the map, has batch norm, or a bias.
        dropout: Rate of dropout after the fusion.
        name: Prefix of the layers' names: ``<name>.level<bins>``, ``<name>.fuse``.

    Returns:
        ``(batch, height, width, channels)``.

    Raises:
        InputError: No bins, or some that are no positive integers or appear twice.
    """
    bins = wholes(bins, "bins", allowed="distinct positive integers")
    if not bins or len(set(bins)) != len(bins):
        raise InputError(f"bins must be distinct positive integers, not {bins!r}")
    levels = []
    for count in bins:
        level = f"{name}.level{count}"
        pooled = AdaptiveAveragePooling2D(count, name=f"{level}.mean")(x)
        own = norm if mean_norm or count > 1 else replace(norm, enabled=False)
        pooled = conv_bn_act(pooled, max(1, x.shape[-1] // len(bins)), norm=own, name=level)
        levels.append(Resize(convention=resize, name=f"{level}.resize")([pooled, x]))
    x = keras.layers.Concatenate(name=f"{name}.concat")([x, *levels] if map_first else [*levels, x])
    x = conv_bn_act(x, channels, fuse_kernel, norm=norm, name=f"{name}.fuse")
    return keras.layers.Dropout(dropout, name=f"{name}.dropout")(x) if dropout else x
