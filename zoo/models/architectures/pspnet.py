"""PSPNet (Zhao et al. 2017, "Pyramid Scene Parsing Network").

A dilated backbone at output stride 8, pyramid pooling (section 3.2), and bilinear upsampling of the logits;
while training, an auxiliary loss on an earlier stage (section 3.3).

The authors' Caffe network aligns the corners where it resizes, dilates the first block of a stage already,
and has a stem of three 3×3 convolutions: ``convention="caffe_pspnet"``. With torchvision's ImageNet backbones
the convention is torchvision's (half-pixel centres, late dilation), because it must be the one under which
the backbone was trained; the resizes differ by up to half a cell at the borders of the coarse levels.

Arguments that all builders share:

    label_set: Classes of the logits.
    input_shape: ``(height, width, 3)``; `None` where any size may come.
    convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes.
    output_stride: 8, 16 or 32; the paper's is 8.
    bins: Cells in each direction, of each level of the pyramid.
    channels: Width of the fused pyramid.
    dropout: Before the classifier.
    auxiliary: A second output from an earlier stage; see `zoo.models.heads.classifier.outputs`.
    name: Of the model.

All return a model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
width, classes)``, or with `auxiliary` to a dictionary of two such. All raise `InputError` for an unknown
convention, and for a stride, width or bins that are not possible.
"""

from __future__ import annotations

import keras

from zoo.labels import LabelSet
from zoo.layers.preprocessing import Normalize
from zoo.models.backbones.mobilenet_v2 import mobilenet_v2
from zoo.models.backbones.resnet import resnet
from zoo.models.blocks import Norm
from zoo.models.conventions import resolve
from zoo.models.heads.classifier import outputs
from zoo.models.heads.pyramid_pooling import BINS, pyramid_pooling


def pspnet_resnet(
    *,
    label_set: LabelSet,
    depth: str = "resnet50",
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 8,
    bins: tuple[int, ...] = BINS,
    channels: int = 512,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str = "pspnet_resnet",
) -> keras.Model:
    """PSPNet on ResNet; the auxiliary output reads the third stage (section 3.3: res4b22 of ResNet-101).

    Its own argument; the others stand in the module's docstring:

        depth: ``"resnet50"``, ``"resnet101"`` or ``"resnet152"``.
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image = keras.Input(input_shape, name="image", dtype="float32")
    x = Normalize(**vars(source.normalization), name="normalize")(image)
    features = resnet(
        x,
        depth=depth,
        convention=source,
        output_stride=output_stride,
        deep_stem=source.deep_stem,
        pool_padding=source.pool_padding,
    )
    head = {"bins": bins, "channels": channels, "dropout": dropout}
    x = pyramid_pooling(features["c5"], norm=norm, resize=source.resize, **head)
    second = features["c4"] if auxiliary else None
    ends = {"label_set": label_set, "convention": source.resize, "norm": norm}
    return keras.Model(image, outputs(x, image, auxiliary=second, **ends), name=name)


def pspnet_mobilenet_v2(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 8,
    width: float = 1.0,
    bins: tuple[int, ...] = BINS,
    channels: int = 512,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str = "pspnet_mobilenet_v2",
) -> keras.Model:
    """PSPNet on MobileNetV2; the auxiliary output reads the 96-channel stage.

    Its own argument; the others stand in the module's docstring:

        width: Multiplier of the backbone's channels.
    """
    source = resolve(convention)
    norm = Norm(source.head_epsilon, source.batch_norm)
    image = keras.Input(input_shape, name="image", dtype="float32")
    x = Normalize(**vars(source.normalization), name="normalize")(image)
    features = mobilenet_v2(x, convention=source, output_stride=output_stride, width=width)
    head = {"bins": bins, "channels": channels, "dropout": dropout}
    x = pyramid_pooling(features["c5"], norm=norm, resize=source.resize, **head)
    second = features["c4"] if auxiliary else None
    ends = {"label_set": label_set, "convention": source.resize, "norm": norm}
    return keras.Model(image, outputs(x, image, auxiliary=second, **ends), name=name)
