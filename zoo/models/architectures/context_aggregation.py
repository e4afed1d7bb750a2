"""Context aggregation (Yu & Koltun 2016, "Multi-Scale Context Aggregation by Dilated Convolutions").

A front end gives one score per class for each cell (section 4); the context module, on these scores alone,
looks at 67×67 cells (section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers import BilinearUpsampling2D, JoinTiles, ReflectionPadding2D
from zoo.layers.common import standard_globals
from zoo.layers.resize import SegmentationLogits
from zoo.models.architectures.table import backbone_for, default_convention
from zoo.models.backbones import Backbone
from zoo.models.blocks import normalized_image
from zoo.models.conventions import Convention, resolve
from zoo.models.heads.classifier import LOGITS
from zoo.models.heads.context import RATES, context_module, front_scores
from zoo.models.segmentation_model import SegmentationModel


@dataclass(frozen=True)
class Variant:
    """What the authors' network for one data set has behind the front end.

    Attributes:
        module: Width of the context module, ``"basic"`` or ``"large"``.
        rates: Rates of its 3×3 layers.
        pad_once: Whether zeros are added once before it, or by every layer.
        deconvolution: Whether the network itself enlarges its scores to the size of the image.
        tile: (rows, columns) of the image that the authors' network covers at once.
    """

    module: str
    rates: tuple[int, ...]
    pad_once: bool
    deconvolution: bool
    tile: tuple[int, int]


# The published networks by the authors' names for them (section 5 and the appendix). Tiles are the inputs of
# their deploy files less the margins, such as 900 × 1100 − 2 · 186.
VARIANTS = {
    "pascal_voc": Variant("large", RATES, True, False, (528, 528)),
    "camvid": Variant("basic", RATES, False, False, (528, 728)),
    "kitti": Variant("basic", (1, 1, 2, 4, 8, 1), False, False, (480, 1268)),
    "cityscapes": Variant("basic", (1, 1, 2, 4, 8, 16, 32, 64, 1), False, True, (1024, 1024)),
}

# Above what trained scores differ by, so that the fresh module passes all of them.
FRESH_SHIFT = 10.0


@standard_globals()
def context_aggregation(
    *,
    backbone: str | Backbone,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str | None = None,
    output_stride: int = 8,
    width: float = 1.0,
    module: str | None = "basic",
    variant: str = "pascal_voc",
    dropout: float = 0.5,
    tiled: bool = False,
    name: str | None = None,
) -> keras.Model:
    """The context module on a front end: the paper's VGG16, or features of any backbone that pads.

    **On VGG16** it is one of the published networks. The image is extended by 186 pixels of reflection on
    each side; nothing in the front end pads. So the map has ⌈height / 8⌉ × ⌈width / 8⌉ cells for an image of
    any size, as the authors' network gives with an input of the image plus 372 pixels. Small images are
    reflected repeatedly.

    The authors run a network of fixed input over tiles (their ``predict.py``), which `tiled` repeats to the
    pixel. It differs from the whole image in three ways. Where an image does not fill its last tile, the
    rest is filled with reflections, and the context module looks at those, not at zeros; this reaches up to
    33 cells (264 pixels) into the image from the right and the bottom. Where an image needs several tiles,
    the context module sees zeros beyond each. And in the last 7 rows or columns of an image that fills its
    tiles exactly, theirs reads memory beyond the map, where this one repeats the last cell.

    **On a backbone that pads** features at output stride 8 give one score for each class and cell; the
    module, identical to the scores at first, then learns what surrounds them. Fresh scores start around 10,
    not 0, so that its ReLUs pass all of them and front end and module train together.

    Args:
        backbone: Name in the table of backbones, or a row of it.
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: mean and order of the channels, and how the
            scores are enlarged. ``caffe_dilation_*`` belong to the published weights of each variant; `None`
            is ``caffe_dilation_voc`` on VGG16, and the backbone's own elsewhere.
        output_stride: 8, 16 or 32, on VGG16 also 4; the paper's is 8.
        width: Multiplier of the backbone's channels.
        module: ``"basic"`` or ``"large"``, of table 1; `None` for the front end alone, whose scores are then
            the logits before they are enlarged. Not on VGG16, where `variant` says it.
        variant: The context module on VGG16: ``"pascal_voc"``, ``"camvid"``, ``"kitti"`` or ``"cityscapes"``.
        dropout: On VGG16, after each fully connected layer of the front end.
        tiled: On VGG16, cut the image into the authors' tiles. Costs as much as whole tiles, however small
            the image. The variables are the same: ``tiled.set_weights(loaded.get_weights())`` carries weights
            over.
        name: Of the model; `None` for ``context_aggregation_<backbone>``.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown backbone, convention, variant or module, a setting of the other kind of front
            end, or a width or output stride that is not possible.
    """
    backbone = backbone_for("context_aggregation", backbone)
    source = resolve(convention or default_convention("context_aggregation", backbone))
    common = {"label_set": label_set, "source": source, "output_stride": output_stride, "width": width}
    image, x = normalized_image(input_shape, convention=source)
    if backbone.margin:
        _refuse(backbone, {"module": (module, "basic")})
        published = _variant(variant)
        last = _published(backbone, image, x, variant=published, dropout=dropout, tiled=tiled, **common)
    else:
        authors = {"variant": (variant, "pascal_voc"), "dropout": (dropout, 0.5), "tiled": (tiled, False)}
        _refuse(backbone, authors)
        last = _on_features(backbone, image, x, module=module, **common)
    return SegmentationModel(image, last, name=name or f"context_aggregation_{backbone.name}")


def _refuse(backbone: Backbone, settings: Mapping[str, tuple]) -> None:
    """Refuse settings of the other kind of front end, each given with the value that asks for nothing."""
    own = "variant, dropout and tiled" if backbone.margin else "module"
    for setting, (value, neutral) in settings.items():
        if value != neutral:
            raise InputError(f"backbone {backbone.name!r} has no {setting}, got {value!r}; it has {own}")


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise InputError(f"variant must be one of {', '.join(VARIANTS)}, not {name!r}")
    return VARIANTS[name]


def _published(
    backbone: Backbone,
    image,
    x,
    *,
    label_set: LabelSet,
    source: Convention,
    output_stride: int,
    width: float,
    variant: Variant,
    dropout: float,
    tiled: bool,
):
    """The logits of a network of the authors, whose front end reads a margin around the image."""
    classes = len(label_set)
    tile = variant.tile if tiled else None
    x = ReflectionPadding2D(margin=backbone.margin, tile=tile, name="margin")(x)
    front = backbone.function()
    x = front(x, output_stride=output_stride, width=width, dropout=dropout)[backbone.last]
    # The authors' network.py: a fresh score layer is Gaussian of 0.001.
    x = front_scores(x, classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001))
    x = context_module(
        x, classes=classes, module=variant.module, rates=variant.rates, pad_once=variant.pad_once
    )
    if variant.deconvolution:
        x = BilinearUpsampling2D(factor=output_stride, name="upsampling")(x)
    if tiled:
        x = JoinTiles(tile=variant.tile, name="tiles")([x, image])
    return SegmentationLogits(
        convention=source.resize,
        domain=source.resize_domain,
        factor=1 if variant.deconvolution else output_stride,
        label_set=label_set,
        name=LOGITS,
    )([x, image])


def _on_features(
    backbone: Backbone,
    image,
    x,
    *,
    label_set: LabelSet,
    source: Convention,
    output_stride: int,
    width: float,
    module: str | None,
):
    """The logits of the context module on the features of a backbone that pads."""
    classes = len(label_set)
    features = backbone.build(x, convention=source, output_stride=output_stride, width=width)
    x = front_scores(features[backbone.last], classes, shift=FRESH_SHIFT)
    if module is not None:
        x = context_module(x, classes=classes, module=module)
    return SegmentationLogits(convention=source.resize, label_set=label_set, name=LOGITS)([x, image])
