"""DeepLabv3 (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation").

A dilated backbone, atrous spatial pyramid pooling with image-level features (section 3.3), and bilinear
upsampling of the logits.
"""

from __future__ import annotations

import keras

from zoo.backbones.mobilenet_v2 import mobilenet_v2
from zoo.blocks import Norm
from zoo.conventions import resolve
from zoo.heads.aspp import aspp
from zoo.heads.classifier import classify
from zoo.labels import LabelSet
from zoo.preprocessing import Normalize

# Section 3.3: at output stride 16; doubled at 8, since a cell is then half as wide.
RATES_AT_16 = (6, 12, 18)


def paper_rates(output_stride: int) -> tuple[int, ...]:
    """The paper's ASPP rates at that output stride: (6, 12, 18) at 16, doubled at 8, halved at 32."""
    return tuple(rate * 16 // output_stride for rate in RATES_AT_16)


def deeplabv3_aspp_mobilenet_v2(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 16,
    width: float = 1.0,
    multi_grid: tuple[int, int, int] = (1, 1, 1),
    rates: tuple[int, ...] | None = None,
    aspp_channels: int = 256,
    separable: bool = False,
    image_pooling: bool = True,
    dropout: float = 0.1,
    name: str = "deeplabv3_aspp_mobilenet_v2",
) -> keras.Model:
    """DeepLabv3 on MobileNetV2.

    Args:
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.conventions.CONVENTIONS`: what the source of the weights computes.
        output_stride: 8, 16 or 32.
        width: Multiplier of the backbone's channels.
        multi_grid: Factors of the rates of the last stage (section 3.2.1).
        rates: Rates of the 3×3 branches; `None` for the paper's at this output stride, ``()`` for
            TF-DeepLab's mobile head, which has only the 1×1 branch and image pooling.
        aspp_channels: Width of the ASPP branches.
        separable: Separable 3×3 branches.
        image_pooling: Whether ASPP has its image-level branch.
        dropout: Before the classifier.
        name: Of the model.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown convention, or a stride, width, rate or multi-grid that is not possible.
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image = keras.Input(input_shape, name="image", dtype="float32")
    x = Normalize(**vars(source.normalization), name="normalize")(image)
    features = mobilenet_v2(
        x, convention=source, output_stride=output_stride, width=width, multi_grid=multi_grid
    )
    x = aspp(
        features["c5"],
        rates=paper_rates(output_stride) if rates is None else tuple(rates),
        norm=norm,
        channels=aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        separable=separable,
        dropout=dropout,
    )
    logits = classify(x, image, label_set=label_set, convention=source.resize)
    return keras.Model(image, logits, name=name)
