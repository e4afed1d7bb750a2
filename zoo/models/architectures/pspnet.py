"""PSPNet (Zhao et al. 2017, "Pyramid Scene Parsing Network").

A dilated backbone at output stride 8, pyramid pooling (section 3.2), and bilinear upsampling of the logits;
while training, an auxiliary loss on an earlier stage (section 3.3).

The authors' Caffe network aligns the corners where it resizes, dilates the first block of a stage already,
and has a stem of three 3×3 convolutions: ``convention="caffe_pspnet"``. With torchvision's ImageNet backbones
the convention is torchvision's (half-pixel centres, late dilation), because it must be the one under which
the backbone was trained; the resizes differ by up to half a cell at the borders of the coarse levels.
"""

from __future__ import annotations

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.common import standard_globals
from zoo.models.architectures.table import backbone_for, default_convention
from zoo.models.backbones import Backbone
from zoo.models.blocks import Norm, normalized_image
from zoo.models.conventions import resolve
from zoo.models.heads.classifier import outputs
from zoo.models.heads.pyramid_pooling import BINS, pyramid_pooling
from zoo.models.segmentation_model import SegmentationModel


@standard_globals()
def pspnet(
    *,
    backbone: str | Backbone,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str | None = None,
    output_stride: int = 8,
    width: float = 1.0,
    bins: tuple[int, ...] = BINS,
    channels: int = 512,
    feature: str | None = None,
    fuse_kernel: int = 3,
    classifier_kernel: int = 1,
    dropout: float = 0.1,
    auxiliary: bool = False,
    name: str | None = None,
) -> keras.Model:
    """PSPNet on a backbone that pads.

    Args:
        backbone: Name in the table of backbones, or a row of it.
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes;
            `None` for the backbone's own.
        output_stride: 8, 16 or 32; the paper's is 8.
        width: Multiplier of the backbone's channels.
        bins: Cells in each direction, of each level of the pyramid.
        channels: Width of the fused pyramid.
        feature: Name of the backbone's feature that the pyramid stands on; `None` for the last one.
        fuse_kernel: Side of the convolution that fuses the pyramid (segmentation_models_pytorch: 1).
        classifier_kernel: Side of the classifier (segmentation_models_pytorch: 3).
        dropout: Before the classifier.
        auxiliary: A second output from an earlier stage (section 3.3: res4b22 of ResNet-101); see
            `zoo.models.heads.classifier.outputs`.
        name: Of the model; `None` for ``pspnet_<backbone>``.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
        width, classes)``, or with `auxiliary` to a dictionary of two such.

    Raises:
        InputError: An unknown backbone or convention, an option that the backbone does not have, or a stride,
            width, bins or feature that are not possible.
    """
    backbone = backbone_for("pspnet", backbone)
    source = resolve(convention or default_convention("pspnet", backbone))
    norm = Norm(source.head_epsilon, source.batch_norm)
    grid = {"multiple": output_stride} if source.whole_cells else {}
    image, padded = normalized_image(input_shape, convention=source, **grid)
    features = backbone.build(padded, convention=source, output_stride=output_stride, width=width)
    if feature is not None and feature not in features:
        raise InputError(f"feature must be one of {', '.join(features)}, not {feature!r}")
    x = pyramid_pooling(
        features[feature or backbone.last],
        norm=norm,
        resize=source.resize,
        bins=bins,
        channels=channels,
        fuse_kernel=fuse_kernel,
        map_first=source.map_first,
        mean_norm=source.mean_norm,
        dropout=dropout,
    )
    second = backbone.auxiliary_of(features) if auxiliary else {}
    common = {"label_set": label_set, "convention": source.resize, "norm": norm}
    extended = padded if source.whole_cells else None
    ends = outputs(x, image, **common, kernel_size=classifier_kernel, extended=extended, **second)
    return SegmentationModel(image, ends, name=name or f"pspnet_{backbone.name}")
