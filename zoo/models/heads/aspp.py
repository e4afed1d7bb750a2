"""Atrous spatial pyramid pooling (Chen et al. 2017, section 3.3)."""

from __future__ import annotations

import logging

import keras

from zoo.errors import InputError
from zoo.layers import BroadcastLike
from zoo.layers.common import CHANNELS_LAST, wholes
from zoo.models.blocks import Norm, conv3x3, conv_bn_act

log = logging.getLogger("zoo")


def dead_taps(rate: int, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """The taps of a 3×3 convolution at `rate` that see only padding on a map of `size` = (rows, columns).

    A tap that lies as far off as the map is long leaves the map from every position: the branch has fewer
    weights than it seems, and at the end is a 1×1 convolution (Chen et al. 2017, figure 4).

    Returns:
        (row, column) of the dead taps, each −1, 0 or 1 from the centre; () when all see something.
    """
    rows, columns = size
    taps = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    return tuple((r, c) for r, c in taps if abs(r) * rate >= rows or abs(c) * rate >= columns)


def dead_taps_message(rates: tuple[int, ...], size: tuple[int, int], *, name: str = "aspp") -> str | None:
    """One line that names every branch with dead taps on a map of that size; `None` when there are none."""
    found = []
    for index, rate in enumerate(rates, start=1):
        dead = dead_taps(rate, size)
        if dead:
            taps = "all but the centre" if len(dead) == 8 else " ".join(f"({r:+d},{c:+d})" for r, c in dead)
            found.append(f"{name}.conv{index} at rate {rate}: {len(dead)} of 9 taps, {taps}")
    if not found:
        return None
    return f"on a map of {size[0]}x{size[1]} these see only padding: {'; '.join(found)} (row,column)"


def model_dead_taps(model: keras.Model, size: tuple[int, int], *, name: str = "aspp") -> str | None:
    """`dead_taps_message` of a built model for images of `size` = (height, width) in pixels.

    Raises:
        InputError: The model has no ASPP of that name, or was built for images of another size.
    """
    layers = {layer.name: layer for layer in model.layers}
    if f"{name}.conv0.conv" not in layers:
        raise InputError(f"model {model.name!r} has no atrous spatial pyramid pooling named {name!r}")
    branches = [f"{name}.conv{index}{kind}.conv" for index in range(1, 10) for kind in ("", ".depthwise")]
    rates = [layers[branch].rate for branch in branches if branch in layers]
    built = model.input_shape[1:3]
    if any(own not in (None, given) for own, given in zip(built, size, strict=True)):
        raise InputError(f"model {model.name!r} was built for images of {built}, not {tuple(size)}")
    features = keras.Model(model.input, layers[f"{name}.conv0.conv"].input)
    _, rows, columns, _ = features.compute_output_shape((1, *size, 3))
    return dead_taps_message(tuple(rates), (rows, columns), name=name)


def image_pooling(x, channels: int, *, norm: Norm, name: str):
    """Mean over the whole map, 1×1 convolution, repeated over the map again."""
    pooled = keras.layers.GlobalAveragePooling2D(CHANNELS_LAST, keepdims=True, name=f"{name}.mean")(x)
    pooled = conv_bn_act(pooled, channels, norm=norm, name=name)
    return BroadcastLike(name=f"{name}.broadcast")([pooled, x])


def aspp(
    x,
    *,
    rates: tuple[int, ...],
    norm: Norm,
    channels: int = 256,
    pool: bool = True,
    pool_first: bool = False,
    separable: bool = False,
    separable_norm: bool = True,
    project_kernel: int = 1,
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
        separable_norm: Whether those have batch norm and ReLU in between.
        project_kernel: Side of the convolution that projects (mmsegmentation: 3).
        dropout: Rate of dropout after the projection.
        name: Prefix of the layers' names.

    Returns:
        ``(batch, height, width, channels)``. Where the map's size is known now, one warning is logged that
        names the taps which see only padding.

    Raises:
        InputError: A rate that is no positive integer.
    """
    rates = wholes(rates, "rates")
    if None not in x.shape[1:3] and (message := dead_taps_message(rates, x.shape[1:3], name=name)):
        log.warning(message)
    branches = [conv_bn_act(x, channels, norm=norm, name=f"{name}.conv0")]
    for index, rate in enumerate(rates, start=1):
        options = {"norm": norm, "separable": separable, "separable_norm": separable_norm}
        branches.append(conv3x3(x, channels, rate=rate, name=f"{name}.conv{index}", **options))
    if pool:
        pooled = image_pooling(x, channels, norm=norm, name=f"{name}.pool")
        branches.insert(0 if pool_first else len(branches), pooled)
    x = branches[0] if len(branches) == 1 else keras.layers.Concatenate(name=f"{name}.concat")(branches)
    x = conv_bn_act(x, channels, project_kernel, norm=norm, name=f"{name}.project")
    return keras.layers.Dropout(dropout, name=f"{name}.dropout")(x) if dropout else x
