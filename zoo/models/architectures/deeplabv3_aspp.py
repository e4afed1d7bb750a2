"""DeepLabv3 (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation").

A dilated backbone, atrous spatial pyramid pooling with image-level features (section 3.3), and bilinear
upsampling of the logits.

Without weights the models are the paper's: output stride 16, ASPP rates 6, 12, 18 (12, 24, 36 at stride 8),
and on ResNet the multi-grid (1, 2, 4). torchvision's checkpoints differ in ways that are settings of their
catalog entries: dilation of the last stages without multi-grid, a 3×3 convolution before the classifier, and
for MobileNetV3 the rates 12, 24, 36 at stride 16.

Arguments that all builders share:

    label_set: Classes of the logits.
    input_shape: ``(height, width, 3)``; `None` where any size may come.
    convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes.
    output_stride: 8, 16 or 32.
    rates_at_16: Rates of the 3×3 branches at output stride 16; doubled at 8, halved at 32 (section 3.3).
    rates: Rates of the 3×3 branches as they are, whatever the output stride; ``()`` for none.
    aspp_channels: Width of the ASPP branches.
    image_pooling: Whether ASPP has its image-level branch.
    head_conv: A further 3×3 convolution between ASPP and classifier (torchvision).
    dropout: After ASPP.
    auxiliary: A second output from an earlier stage, for training; see `zoo.models.heads.classifier.outputs`.
    name: Of the model.

All return a model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
width, classes)``, or with `auxiliary` to a dictionary of two such. All raise `InputError` for an unknown
convention, and for a stride, width, rate or multi-grid that is not possible.
"""

from __future__ import annotations

import keras

from zoo.labels import LabelSet
from zoo.models.backbones.mobilenet_v2 import mobilenet_v2
from zoo.models.backbones.mobilenet_v3 import mobilenet_v3_large
from zoo.models.backbones.resnet import resnet
from zoo.models.blocks import Norm, conv_bn_act, image_on_grid
from zoo.models.conventions import resolve
from zoo.models.heads.aspp import aspp
from zoo.models.heads.classifier import outputs

# Section 3.3: at output stride 16; doubled at 8, since a cell is then half as wide.
RATES_AT_16 = (6, 12, 18)


# Section 4.3: the best multi-grid with ASPP.
MULTI_GRID = (1, 2, 4)


def rates_at(output_stride: int, rates_at_16: tuple[int, ...] = RATES_AT_16) -> tuple[int, ...]:
    """ASPP rates at an output stride from those at 16: the paper's 6, 12, 18 become 12, 24, 36 at 8."""
    return tuple(max(1, rate * 16 // output_stride) for rate in rates_at_16)


def deeplabv3_aspp_resnet(
    *,
    label_set: LabelSet,
    depth: str = "resnet50",
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 16,
    multi_grid: tuple[int, int, int] | None = MULTI_GRID,
    rates_at_16: tuple[int, ...] = RATES_AT_16,
    rates: tuple[int, ...] | None = None,
    aspp_channels: int = 256,
    image_pooling: bool = True,
    head_conv: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str = "deeplabv3_aspp_resnet",
) -> keras.Model:
    """DeepLabv3 on ResNet; the auxiliary output reads the third stage.

    Its own arguments; the others stand in the module's docstring:

        depth: ``"resnet50"``, ``"resnet101"`` or ``"resnet152"``.
        multi_grid: Factors of the rates of the last stage (section 3.2.1): (1, 2, 4) at output stride 16
            gives its blocks 2, 4, 8. `None` leaves them to the running stride (torchvision: 1, 2, 2).
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image, x, grid = image_on_grid(input_shape, convention=source, output_stride=output_stride)
    features = resnet(
        x,
        depth=depth,
        convention=source,
        output_stride=output_stride,
        multi_grid=multi_grid,
        deep_stem=source.deep_stem,
        pool_padding=source.pool_padding,
    )
    x = aspp(
        features["c5"],
        rates=rates_at(output_stride, rates_at_16) if rates is None else tuple(rates),
        norm=norm,
        channels=aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        dropout=dropout,
    )
    if head_conv:
        x = conv_bn_act(x, aspp_channels, 3, norm=norm, name="head")
    second = features["c4"] if auxiliary else None
    ends = {"label_set": label_set, "convention": source.resize, "norm": norm, "grid": grid}
    return keras.Model(image, outputs(x, image, auxiliary=second, auxiliary_stride=16, **ends), name=name)


def deeplabv3_aspp_mobilenet_v3_large(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision_mobilenet_v3",
    output_stride: int = 16,
    width: float = 1.0,
    rates_at_16: tuple[int, ...] = RATES_AT_16,
    rates: tuple[int, ...] | None = None,
    aspp_channels: int = 256,
    image_pooling: bool = True,
    separable: bool = False,
    head_conv: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str = "deeplabv3_aspp_mobilenet_v3_large",
) -> keras.Model:
    """DeepLabv3 on MobileNetV3-Large; the auxiliary output reads the first block at stride 8.

    Its own arguments; the others stand in the module's docstring:

        width: Multiplier of the backbone's channels.
        separable: Separable 3×3 branches.
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image, x, grid = image_on_grid(input_shape, convention=source, output_stride=output_stride)
    features = mobilenet_v3_large(x, convention=source, output_stride=output_stride, width=width)
    x = aspp(
        features["c5"],
        rates=rates_at(output_stride, rates_at_16) if rates is None else tuple(rates),
        norm=norm,
        channels=aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        separable=separable,
        dropout=dropout,
    )
    if head_conv:
        x = conv_bn_act(x, aspp_channels, 3, norm=norm, name="head")
    second = features["c3_first"] if auxiliary else None
    ends = {"label_set": label_set, "convention": source.resize, "norm": norm, "grid": grid}
    return keras.Model(image, outputs(x, image, auxiliary=second, auxiliary_stride=8, **ends), name=name)


def deeplabv3_aspp_mobilenet_v2(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 16,
    width: float = 1.0,
    multi_grid: tuple[int, int, int] | None = None,
    rates_at_16: tuple[int, ...] = RATES_AT_16,
    rates: tuple[int, ...] | None = None,
    aspp_channels: int = 256,
    separable: bool = False,
    image_pooling: bool = True,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str = "deeplabv3_aspp_mobilenet_v2",
) -> keras.Model:
    """DeepLabv3 on MobileNetV2; the auxiliary output reads the 96-channel stage.

    ``rates=()`` is TF-DeepLab's mobile head, which has only the 1×1 branch and image pooling. Its own
    arguments; the others stand in the module's docstring:

        width: Multiplier of the backbone's channels.
        multi_grid: Factors of the rates of the last stage (section 3.2.1), as in `mobilenet_v2`.
        separable: Separable 3×3 branches.
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image, x, grid = image_on_grid(input_shape, convention=source, output_stride=output_stride)
    features = mobilenet_v2(
        x, convention=source, output_stride=output_stride, width=width, multi_grid=multi_grid
    )
    x = aspp(
        features["c5"],
        rates=rates_at(output_stride, rates_at_16) if rates is None else tuple(rates),
        norm=norm,
        channels=aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        separable=separable,
        dropout=dropout,
    )
    second = features["c4"] if auxiliary else None
    ends = {"label_set": label_set, "convention": source.resize, "norm": norm, "grid": grid}
    return keras.Model(image, outputs(x, image, auxiliary=second, auxiliary_stride=16, **ends), name=name)
