"""Context aggregation (Yu & Koltun 2016, "Multi-Scale Context Aggregation by Dilated Convolutions").

A front end gives one score a class for each cell (section 4); the context module, on these scores alone,
looks at 67×67 cells (section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers import BilinearUpsampling2D, JoinTiles, ReflectionPadding2D
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import SegmentationLogits
from zoo.models.backbones.mobilenet_v2 import mobilenet_v2
from zoo.models.backbones.vgg16 import MARGIN, vgg16
from zoo.models.conventions import resolve
from zoo.models.heads.classifier import LOGITS
from zoo.models.heads.context import RATES, context_module, front_scores


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


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise InputError(f"variant must be one of {', '.join(VARIANTS)}, not {name!r}")
    return VARIANTS[name]


def context_aggregation_vgg16(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "caffe_dilation_voc",
    variant: str = "pascal_voc",
    output_stride: int = 8,
    width: float = 1.0,
    dropout: float = 0.5,
    tiled: bool = False,
    name: str = "context_aggregation_vgg16",
) -> keras.Model:
    """The paper's network on VGG16, in one of its published variants.

    The image is extended by 186 pixels of reflection on each side; nothing in the front end pads. So the map
    has ⌈height / 8⌉ × ⌈width / 8⌉ cells for an image of any size, as the authors' network gives with an input
    of the image plus 372 pixels. Small images are reflected repeatedly.

    The authors run a network of fixed input over tiles (their ``predict.py``), which `tiled` repeats to the
    pixel. It differs from the whole image in three ways. Where an image does not fill its last tile, the
    rest is filled with reflections, and the context module looks at those, not at zeros; this reaches up to
    33 cells (264 pixels) into the image from the right and the bottom. Where an image needs several tiles,
    the context module sees zeros beyond each. And in the last 7 rows or columns of an image that fills its
    tiles exactly, theirs reads memory beyond the map, where this one repeats the last cell.

    Args:
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: mean and order of the channels, and how the
            scores are enlarged. ``caffe_dilation_*`` belong to the published weights of each variant.
        variant: ``"pascal_voc"``, ``"camvid"``, ``"kitti"`` or ``"cityscapes"``: the context module.
        output_stride: 4, 8, 16 or 32; the paper's is 8.
        width: Multiplier of the front end's channels.
        dropout: After each fully connected layer of the front end.
        tiled: Cut the image into the authors' tiles. Costs as much as whole tiles, however small the image.
            The variables are the same: ``tiled.set_weights(loaded.get_weights())`` carries weights over.
        name: Of the model.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown convention or variant, or a width or output stride that is not possible.
    """
    source, published = resolve(convention), _variant(variant)
    classes = len(label_set)
    image = keras.Input(input_shape, name="image", dtype="float32")
    x = Normalize(**vars(source.normalization), name="normalize")(image)
    tile = published.tile if tiled else None
    x = ReflectionPadding2D(margin=MARGIN, tile=tile, name="margin")(x)
    x = vgg16(x, output_stride=output_stride, width=width, dropout=dropout)["fc7"]
    # The authors' network.py: a fresh score layer is Gaussian of 0.001.
    x = front_scores(x, classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.001))
    x = context_module(
        x, classes=classes, module=published.module, rates=published.rates, pad_once=published.pad_once
    )
    if published.deconvolution:
        x = BilinearUpsampling2D(factor=output_stride, name="upsampling")(x)
    if tiled:
        x = JoinTiles(tile=published.tile, name="tiles")([x, image])
    logits = SegmentationLogits(
        convention=source.resize,
        domain=source.resize_domain,
        factor=1 if published.deconvolution else output_stride,
        label_set=label_set,
        name=LOGITS,
    )([x, image])
    return keras.Model(image, logits, name=name)


def context_aggregation_mobilenet_v2(
    *,
    label_set: LabelSet,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    convention: str = "torchvision",
    output_stride: int = 8,
    width: float = 1.0,
    module: str | None = "basic",
    name: str = "context_aggregation_mobilenet_v2",
) -> keras.Model:
    """The context module on MobileNetV2 instead of VGG16: the front end for a phone.

    Features at output stride 8 give one score a class for each cell; the module, identical to the scores at
    first, then learns what surrounds them. Fresh scores start around 10, not 0, so that its ReLUs pass all of
    them and front end and module train together.

    Args:
        label_set: Classes of the logits.
        input_shape: ``(height, width, 3)``; `None` where any size may come.
        convention: Name in `zoo.models.conventions.CONVENTIONS`: what the source of the weights computes.
        output_stride: 8, 16 or 32.
        width: Multiplier of the backbone's channels.
        module: ``"basic"`` or ``"large"``, of table 1; `None` for the front end alone, whose scores are then
            the logits before they are enlarged.
        name: Of the model.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown convention or module, or a stride or width that is not possible.
    """
    source = resolve(convention)
    classes = len(label_set)
    image = keras.Input(input_shape, name="image", dtype="float32")
    x = Normalize(**vars(source.normalization), name="normalize")(image)
    x = mobilenet_v2(x, convention=source, output_stride=output_stride, width=width)["c5"]
    x = front_scores(x, classes, shift=FRESH_SHIFT)
    if module is not None:
        x = context_module(x, classes=classes, module=module)
    logits = SegmentationLogits(convention=source.resize, label_set=label_set, name=LOGITS)([x, image])
    return keras.Model(image, logits, name=name)
