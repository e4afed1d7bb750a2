"""LR-ASPP (Howard et al. 2019, "Searching for MobileNetV3", section 6.4).

A mobile backbone at output stride 16, a head of one reduced map under a gate, and the scores of a finer map
of stride 8 added to its own. torchvision's network is this one on MobileNetV3-Large; it reads the first block
at stride 8, and its last stage is dilated from the first block on.
"""

from __future__ import annotations

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.common import standard_globals
from zoo.models.architectures.table import backbone_for
from zoo.models.backbones import Backbone
from zoo.models.blocks import Norm, image_on_grid
from zoo.models.conventions import resolve
from zoo.models.heads.classifier import logits
from zoo.models.heads.lite_aspp import lite_aspp
from zoo.models.segmentation_model import SegmentationModel

LOW_LEVEL_STRIDE = 8


@standard_globals()
def lraspp(
    *,
    backbone: str | Backbone,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str | None = None,
    output_stride: int = 16,
    width: float = 1.0,
    channels: int = 128,
    enlarge: float = 1.0,
    name: str | None = None,
) -> keras.Model:
    """LR-ASPP on a mobile backbone that pads and has features of stride 8.

    Args:
        backbone: Name in the table of backbones, or a row of it.
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes;
            `None` for the backbone's own.
        output_stride: 8, 16 or 32.
        width: Multiplier of the backbone's channels.
        channels: Width of the head.
        enlarge: How many times the image is enlarged before the network sees it, from 1 to 4 in sixteenths:
            finer cells for thin things, at the square of the cost. Strides and rates count enlarged pixels.
        name: Of the model; `None` for ``lraspp_<backbone>``.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits ``(batch, height,
        width, classes)``.

    Raises:
        InputError: An unknown backbone or convention, or a stride, width or number of channels that is not
            possible.
    """
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise InputError(f"channels must be a positive integer, not {channels!r}")
    backbone = backbone_for("lraspp", backbone)
    source = resolve(convention or backbone.convention_for(None))
    stride = {"output_stride": output_stride}
    canvas = image_on_grid(input_shape, convention=source, enlarge=enlarge, **stride)
    features = backbone.build(canvas.seen, convention=source, width=width, **stride)
    x = lite_aspp(
        features[backbone.last],
        features[backbone.early_feature(LOW_LEVEL_STRIDE, first=True)],
        classes=len(label_set),
        norm=Norm(source.head_epsilon, source.batch_norm),
        resize=source.resize,
        channels=channels,
    )
    ends = {"convention": source.resize, "label_set": label_set, **canvas.ends}
    ends["factor"] = None if canvas.grid is None else LOW_LEVEL_STRIDE
    found = logits(x, canvas.image, **ends)
    return SegmentationModel(canvas.image, found, name=name or f"lraspp_{backbone.name}")
