"""DeepLabv3+ (Chen et al. 2018).

"Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation".

DeepLabv3's encoder, and a decoder that refines its features at stride 4, beside low-level features of the
backbone (section 3.1). All 3×3 convolutions behind the backbone are separable.

Without weights the models are the paper's: output stride 16, ASPP rates 6, 12, 18 (12, 24, 36 at stride 8),
48 channels of low-level features, two convolutions of 256 in the decoder (section 4.1, tables 1 and 2). On
mobile backbones the head is as thin as they are: 64 channels in ASPP and decoder. The layout of
segmentation_models_pytorch is settings of the same builder: one convolution in the decoder, one more behind
ASPP, the rates 12, 24, 36 at every stride, and no batch norm within a separable convolution.
"""

from __future__ import annotations

import keras

from zoo.labels import LabelSet
from zoo.layers.common import standard_globals, whole
from zoo.models.architectures.deeplabv3_aspp import RATES_AT_16, rates_at
from zoo.models.architectures.table import backbone_for
from zoo.models.backbones import Backbone
from zoo.models.blocks import Norm, conv3x3, image_on_grid
from zoo.models.conventions import resolve
from zoo.models.heads.aspp import aspp
from zoo.models.heads.classifier import outputs
from zoo.models.heads.decoder import CONVOLUTIONS, LOW_LEVEL_CHANNELS, decoder
from zoo.models.segmentation_model import SegmentationModel

LOW_LEVEL_STRIDE = 4
CHANNELS = 256
THIN_CHANNELS = 64


@standard_globals()
def deeplabv3_plus(
    *,
    backbone: str | Backbone,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str | None = None,
    output_stride: int = 16,
    width: float = 1.0,
    multi_grid: tuple[int, ...] | None = None,
    rates_at_16: tuple[int, ...] = RATES_AT_16,
    rates: tuple[int, ...] | None = None,
    aspp_channels: int | None = None,
    image_pooling: bool = True,
    project_kernel: int = 1,
    separable: bool = True,
    separable_decoder: bool = True,
    head_conv: bool = False,
    low_level_channels: int = LOW_LEVEL_CHANNELS,
    decoder_channels: int | None = None,
    decoder_convs: int = CONVOLUTIONS,
    dropout: float = 0.1,
    auxiliary: bool = False,
    enlarge: float = 1.0,
    name: str | None = None,
) -> keras.Model:
    """DeepLabv3+ on a backbone that pads and has features of stride 4.

    Args:
        backbone: Name in the table of backbones, or a row of it.
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes;
            `None` for the backbone's own.
        output_stride: 8, 16 or 32, of the encoder.
        width: Multiplier of the backbone's channels.
        multi_grid: Factors of the rates of the last stage. `None`, as in the paper, which found that they
            did not help (section 4.3).
        rates_at_16: Rates of ASPP's 3×3 branches at output stride 16; doubled at 8, halved at 32.
        rates: Rates of these branches as they are, whatever the output stride.
        aspp_channels: Width of the ASPP branches; `None` for 256, or 64 on a mobile backbone.
        image_pooling: Whether ASPP has its image-level branch.
        project_kernel: Side of the convolution that projects ASPP's branches (mmsegmentation: 3).
        separable: Separable 3×3 branches.
        separable_decoder: Separable 3×3 convolutions behind ASPP.
        head_conv: A further 3×3 convolution between ASPP and decoder (segmentation_models_pytorch).
        low_level_channels: What the features of stride 4 are reduced to.
        decoder_channels: Width of the decoder's convolutions; `None` for 256, or 64 on a mobile backbone.
        decoder_convs: How many 3×3 convolutions the decoder has.
        dropout: After ASPP.
        auxiliary: A second output from an earlier stage, for training; see
            `zoo.models.heads.classifier.outputs`.
        enlarge: How many times the image is enlarged before the network sees it, from 1 to 4 in sixteenths:
            finer cells for thin things, at the square of the cost. Strides and rates count enlarged pixels.
        name: Of the model; `None` for ``deeplabv3_plus_<backbone>``.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
        width, classes)``, or with `auxiliary` to a dictionary of two such.

    Raises:
        InputError: An unknown backbone or convention, an option that the backbone does not have, or a stride,
            width, rate, multi-grid or number of channels that is not possible.
    """
    backbone = backbone_for("deeplabv3_plus", backbone)
    source = resolve(convention or backbone.convention_for(None))
    norm = Norm(source.head_epsilon, source.batch_norm)
    channels = THIN_CHANNELS if backbone.light else CHANNELS
    between = {"norm": norm, "separable_norm": source.separable_norm}
    stride = {"output_stride": output_stride}
    canvas = image_on_grid(input_shape, convention=source, enlarge=enlarge, **stride)
    options = {"width": width, "multi_grid": multi_grid}
    features = backbone.build(canvas.seen, convention=source, **stride, **options)
    x = aspp(
        features[backbone.last],
        rates=rates_at(output_stride, rates_at_16) if rates is None else tuple(rates),
        channels=channels if aspp_channels is None else aspp_channels,
        pool=image_pooling,
        pool_first=source.pool_first,
        project_kernel=whole(project_kernel, "project_kernel"),
        separable=separable,
        dropout=dropout,
        **between,
    )
    refine = {"separable": separable_decoder, **between}
    if head_conv:
        x = conv3x3(x, x.shape[-1], name="head", **refine)
    x = decoder(
        x,
        features[backbone.early_feature(LOW_LEVEL_STRIDE)],
        resize=source.resize,
        low_level_channels=low_level_channels,
        channels=channels if decoder_channels is None else decoder_channels,
        convolutions=decoder_convs,
        **refine,
    )
    second = backbone.auxiliary_of(features) if auxiliary else {}
    common = {"label_set": label_set, "convention": source.resize, "norm": norm}
    places = {"stride": LOW_LEVEL_STRIDE, "grid": canvas.grid, **canvas.ends}
    ends = outputs(x, canvas.image, **common, **places, **second)
    return SegmentationModel(canvas.image, ends, name=name or f"deeplabv3_plus_{backbone.name}")
