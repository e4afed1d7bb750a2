"""DeepLabv3 (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation").

A dilated backbone, atrous spatial pyramid pooling with image-level features (section 3.3), and bilinear
upsampling of the logits.

Without weights the models are the paper's: output stride 16, ASPP rates 6, 12, 18 (12, 24, 36 at stride 8),
and on ResNet the multi-grid (1, 2, 4). torchvision's checkpoints differ in ways that are settings of their
catalog entries: dilation of the last stages without multi-grid, a 3×3 convolution before the classifier, and
for MobileNetV3 the rates 12, 24, 36 at stride 16.
"""

from __future__ import annotations

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.common import standard_globals, whole
from zoo.models.architectures.table import backbone_for, default_convention
from zoo.models.backbones import Backbone
from zoo.models.blocks import Norm, conv_bn_act, image_on_grid
from zoo.models.conventions import resolve
from zoo.models.heads.aspp import aspp
from zoo.models.heads.classifier import outputs
from zoo.models.segmentation_model import SegmentationModel

# Section 3.3: at output stride 16; doubled at 8, since a cell is then half as wide.
RATES_AT_16 = (6, 12, 18)
# Section 4.3: the best multi-grid with ASPP.
MULTI_GRID = (1, 2, 4)
PAPER = "paper"


def rates_at(output_stride: int, rates_at_16: tuple[int, ...] = RATES_AT_16) -> tuple[int, ...]:
    """ASPP rates at an output stride from those at 16: the paper's 6, 12, 18 become 12, 24, 36 at 8."""
    return tuple(max(1, rate * 16 // output_stride) for rate in rates_at_16)


def _multi_grid(multi_grid, backbone: Backbone) -> tuple[int, ...] | None:
    """The factors themselves, with the paper's where they are asked for and were tried."""
    if isinstance(multi_grid, str) and multi_grid != PAPER:
        raise InputError(f"multi_grid must be {PAPER!r}, None or a tuple of factors, not {multi_grid!r}")
    if multi_grid != PAPER:
        return multi_grid
    return MULTI_GRID if "multi_grid" in backbone.can and not backbone.light else None


@standard_globals()
def deeplabv3_aspp(
    *,
    backbone: str | Backbone,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str | None = None,
    output_stride: int = 16,
    width: float = 1.0,
    multi_grid: tuple[int, ...] | str | None = PAPER,
    rates_at_16: tuple[int, ...] = RATES_AT_16,
    rates: tuple[int, ...] | None = None,
    aspp_channels: int = 256,
    image_pooling: bool = True,
    project_kernel: int = 1,
    separable: bool = False,
    head_conv: bool = False,
    dropout: float = 0.1,
    auxiliary: bool = False,
    enlarge: float = 1.0,
    name: str | None = None,
) -> keras.Model:
    """DeepLabv3 on a backbone that pads.

    Args:
        backbone: Name in the table of backbones, or a row of it.
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes;
            `None` for the backbone's own.
        output_stride: 8, 16 or 32.
        width: Multiplier of the backbone's channels.
        multi_grid: Factors of the rates of the last stage (section 3.2.1): (1, 2, 4) at output stride 16
            gives its blocks 2, 4, 8. `None` leaves them to the running stride (torchvision: 1, 2, 2).
            ``"paper"`` is (1, 2, 4) on ResNet, which the paper tried, and `None` on mobile backbones.
        rates_at_16: Rates of the 3×3 branches at output stride 16; doubled at 8, halved at 32 (section 3.3).
        rates: Rates of the 3×3 branches as they are, whatever the output stride; ``()`` for none, which is
            TF-DeepLab's mobile head of a 1×1 branch and image pooling.
        aspp_channels: Width of the ASPP branches.
        image_pooling: Whether ASPP has its image-level branch.
        project_kernel: Side of the convolution that projects ASPP's branches (mmsegmentation: 3).
        separable: Separable 3×3 branches.
        head_conv: A further 3×3 convolution between ASPP and classifier (torchvision).
        dropout: After ASPP.
        auxiliary: A second output from an earlier stage, for training; see
            `zoo.models.heads.classifier.outputs`.
        enlarge: How many times the image is enlarged before the network sees it, from 1 to 4 in sixteenths:
            finer cells for thin things, at the square of the cost. Strides and rates count enlarged pixels.
        name: Of the model; `None` for ``deeplabv3_aspp_<backbone>``.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
        width, classes)``, or with `auxiliary` to a dictionary of two such.

    Raises:
        InputError: An unknown backbone or convention, an option that the backbone does not have, or a stride,
            width, rate or multi-grid that is not possible.
    """
    backbone = backbone_for("deeplabv3_aspp", backbone)
    source = resolve(convention or default_convention("deeplabv3_aspp", backbone))
    norm = Norm(source.head_epsilon, source.batch_norm)
    stride = {"output_stride": output_stride}
    canvas = image_on_grid(input_shape, convention=source, enlarge=enlarge, **stride)
    options = {"width": width, "multi_grid": _multi_grid(multi_grid, backbone)}
    features = backbone.build(canvas.seen, convention=source, **stride, **options)
    x = aspp(
        features[backbone.last],
        rates=rates_at(output_stride, rates_at_16) if rates is None else tuple(rates),
        norm=norm,
        channels=aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        project_kernel=whole(project_kernel, "project_kernel"),
        separable=separable,
        separable_norm=source.separable_norm,
        dropout=dropout,
    )
    if head_conv:
        x = conv_bn_act(x, aspp_channels, 3, norm=norm, name="head")
    second = backbone.auxiliary_of(features) if auxiliary else {}
    common = {"label_set": label_set, "convention": source.resize, "norm": norm}
    ends = outputs(x, canvas.image, **common, grid=canvas.grid, **canvas.ends, **second)
    return SegmentationModel(canvas.image, ends, name=name or f"deeplabv3_aspp_{backbone.name}")
