"""The conv → batch norm → activation ladder, and the bookkeeping of strides and rates while building."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras

from zoo.errors import InputError
from zoo.layers import (
    DilatedConv2D,
    DilatedDepthwiseConv2D,
    Enlarge,
    FusedBatchNormalization,
    HardSigmoid,
    HardSwish,
    PadToMultiple,
)
from zoo.layers.common import CHANNELS_LAST
from zoo.layers.enlarging import enlargement
from zoo.layers.preprocessing import Normalize
from zoo.models.conventions import Convention

# PyTorch's default of 0.1 for the new value, as Keras counts: the share that is kept.
BATCH_NORM_MOMENTUM = 0.9


@dataclass(frozen=True)
class Norm:
    """Batch normalization of one part of a model; ``enabled=False`` means folded into the convolutions.

    `scale` is what gamma starts from.
    """

    epsilon: float
    enabled: bool = True
    scale: float = 1.0


@dataclass(frozen=True)
class Canvas:
    """An image, and what the network sees of it.

    Attributes:
        image: The input of the model.
        seen: The normalized image as the first convolution takes it.
        grid: By how much exactly the scores of the last map are to be enlarged to lie on `seen`, where that
            was extended to whole cells of so many pixels; `None`, which is: to its size.
        extended: The image that scores are enlarged to before they are cut, if that is not the image.
        enlarged: The normalized image, enlarged and not extended yet, if it was enlarged.
    """

    image: keras.KerasTensor
    seen: keras.KerasTensor
    grid: int | None = None
    extended: keras.KerasTensor | None = None
    enlarged: keras.KerasTensor | None = None

    @property
    def ends(self) -> dict:
        """What the last layers need of it; see `zoo.models.heads.classifier`."""
        return {"extended": self.extended, "enlarged": self.enlarged}


def normalized_image(
    input_shape: tuple[int | None, int | None, int],
    *,
    convention: Convention,
    multiple: int = 1,
    remainder: int = 0,
):
    """The input of a model, and the same as its first convolution takes it.

    Args:
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Mean, scale and order of the channels.
        multiple: What both sides are padded to at the right and the bottom, with zeros, which are the mean
            by then; 1 pads nothing.
        remainder: What shall remain after division by `multiple`.

    Returns:
        The image as it comes, and the normalized image.
    """
    image, x = _image(input_shape, convention)
    return image, _extended(x, multiple=multiple, remainder=remainder)


def _image(input_shape, convention: Convention):
    image = keras.Input(input_shape, name="image", dtype="float32")
    return image, Normalize(**vars(convention.normalization), name="normalize")(image)


def _extended(x, *, multiple: int = 1, remainder: int = 0):
    if multiple == 1:
        return x
    return PadToMultiple(multiple=multiple, remainder=remainder, name="pad")(x)


def image_on_grid(
    input_shape: tuple[int | None, int | None, int],
    *,
    convention: Convention,
    output_stride: int,
    enlarge: float = 1.0,
) -> Canvas:
    """The input, and the same as the first convolution takes it, enlarged and extended to whole cells.

    TF-DeepLab's networks were made for sides of a multiple of the output stride plus 1 (513 = 32 · 16 + 1): a
    cell then stands exactly at every 16th pixel, first and last included. At other sizes TensorFlow's
    ``"same"`` padding moves the cells by up to 15 pixels and aligning corners stretches the map. The authors
    extend images with the mean to such a size (``export_model.py``); so does this one, with zeros behind
    the normalization, by less than a cell. Conventions of whole cells extend to a multiple of the output
    stride in the same way, and enlarge to the extended image.

    Args:
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: What the source of the weights computes.
        output_stride: Pixels of the image that the network sees, for each cell.
        enlarge: How many times the image is enlarged before the network sees it, from 1 to 4: finer cells
            for thin things, at the square of the cost.
    """
    image, x = _image(input_shape, convention)
    factor, enlarged = enlargement(enlarge), None
    if factor > 1:
        x = enlarged = Enlarge(factor=factor, name="enlarge")(x)
    if convention.whole_cells:
        x = _extended(x, multiple=output_stride)
        return Canvas(image, x, extended=x, enlarged=enlarged)
    if (convention.padding, convention.resize) != ("same", "align_corners"):
        return Canvas(image, x, enlarged=enlarged)
    x = _extended(x, multiple=output_stride, remainder=1)
    return Canvas(image, x, grid=output_stride, enlarged=enlarged)


def activation(x, kind: str | None, *, name: str):
    """Apply ``"relu"``, ``"relu6"``, ``"hard_swish"``, ``"hard_sigmoid"`` or nothing."""
    if kind is None:
        return x
    hard = {"hard_swish": HardSwish, "hard_sigmoid": HardSigmoid}
    if kind in hard:
        return hard[kind](name=f"{name}.{kind}")(x)
    limit = {"relu": None, "relu6": 6.0}[kind]
    return keras.layers.ReLU(max_value=limit, name=f"{name}.{kind}")(x)


def _normalize(x, norm: Norm, *, name: str):
    if not norm.enabled:
        return x
    return FusedBatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=norm.epsilon,
        gamma_initializer=keras.initializers.Constant(norm.scale),
        name=f"{name}.bn",
    )(x)


def conv_bn_act(x, filters: int, kernel_size=1, *, norm: Norm, name: str, act: str | None = "relu", **conv):
    """Convolution, batch norm, activation; the convolution has a bias only where there is no norm.

    Args:
        x: ``(batch, height, width, channels)``.
        filters: Channels of the output.
        kernel_size: Odd integer or pair.
        norm: Batch normalization's settings.
        name: Prefix of the layers' names: ``<name>.conv``, ``<name>.bn``, ``<name>.relu``.
        act: Name of an `activation`, or `None`.
        **conv: ``strides``, ``rate`` and ``padding`` of `DilatedConv2D`.
    """
    x = DilatedConv2D(
        filters, kernel_size=kernel_size, use_bias=not norm.enabled, name=f"{name}.conv", **conv
    )(x)
    return activation(_normalize(x, norm, name=name), act, name=name)


def depthwise_bn_act(x, kernel_size=3, *, norm: Norm, name: str, act: str | None = "relu", **conv):
    """Depthwise convolution, batch norm, activation; arguments as in `conv_bn_act`."""
    x = DilatedDepthwiseConv2D(
        kernel_size=kernel_size, use_bias=not norm.enabled, name=f"{name}.conv", **conv
    )(x)
    return activation(_normalize(x, norm, name=name), act, name=name)


def conv3x3(
    x,
    filters: int,
    *,
    norm: Norm,
    name: str,
    rate: int = 1,
    separable: bool = False,
    separable_norm: bool = True,
):
    """3×3 convolution of a head with batch norm and ReLU, whole or separable.

    Args:
        x: ``(batch, height, width, channels)``.
        filters: Channels of the output.
        norm: Batch normalization's settings.
        name: Prefix of the layers' names, before ``.depthwise`` and ``.pointwise`` if separable.
        rate: Distance between neighbouring taps.
        separable: A depthwise convolution and a pointwise one instead of a whole one.
        separable_norm: Whether the depthwise half has batch norm and ReLU too; it has no bias otherwise.
    """
    if not separable:
        return conv_bn_act(x, filters, 3, rate=rate, norm=norm, name=name)
    first = f"{name}.depthwise"
    if separable_norm:
        x = depthwise_bn_act(x, 3, rate=rate, norm=norm, name=first)
    else:
        x = DilatedDepthwiseConv2D(kernel_size=3, rate=rate, use_bias=False, name=f"{first}.conv")(x)
    return conv_bn_act(x, filters, norm=norm, name=f"{name}.pointwise")


def max_pool(x, *, padding: str, name: str):
    """3×3 max pooling at stride 2, rounding down.

    ``"symmetric"`` pads one zero on each side, which is exact only because every input here comes out of
    a ReLU; ``"valid"`` and ``"same"`` are Keras'.
    """
    if padding == "symmetric":
        x = keras.layers.ZeroPadding2D(1, CHANNELS_LAST, name=f"{name}.pad")(x)
        padding = "valid"
    options = {"padding": padding, "data_format": CHANNELS_LAST, "name": name}
    return keras.layers.MaxPooling2D(3, strides=2, **options)(x)


class StrideTracker:
    """Decides, block by block, whether a nominal stride becomes a stride or a dilation.

    While the running stride is below `output_stride`, strides are taken. From there on they turn into
    rates: a block whose nominal stride s is refused multiplies the rate of what follows by s. The block
    itself keeps the rate so far when ``late`` (TF-DeepLab, torchvision): its input is sampled as densely as
    the nominal network's was, which makes the dense features, subsampled, equal to the nominal ones. With
    ``late=False`` the block already uses the new rate (DUC-HDC).
    """

    def __init__(self, output_stride: int, *, late: bool = True):
        if output_stride not in (4, 8, 16, 32):
            raise InputError(f"output_stride must be 4, 8, 16 or 32, not {output_stride!r}")
        self.output_stride = output_stride
        self.late = late
        self.stride = 1
        self.rate = 1

    def take(self, nominal: int) -> tuple[int, int]:
        """(stride, rate) of the next block, whose stride in the undilated network is `nominal`."""
        if self.stride * nominal <= self.output_stride:
            self.stride *= nominal
            return nominal, self.rate
        before = self.rate
        self.rate *= nominal
        return 1, before if self.late else self.rate


def check_rates(rates: Mapping[str, tuple[int, ...]], blocks: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse rates that are not one for each of the `blocks` that end in a feature."""
    for feature, given in rates.items():
        if feature not in blocks:
            raise InputError(f"rates are for the blocks of {', '.join(blocks)}, not of {feature!r}")
        if len(given) != len(blocks[feature]):
            raise InputError(f"rates of {feature}: got {len(given)}, it has {len(blocks[feature])} blocks")
