"""The last layers of every model: one channel per class, at the size of the image."""

from __future__ import annotations

import keras

from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D
from zoo.layers.resize import Resize, SegmentationLogits
from zoo.models.blocks import Norm, conv_bn_act

# Layers whose shape depends on the number of classes have this word in their dotted name.
CLASSIFIER = "classifier"
LOGITS = "logits"
AUXILIARY = "auxiliary"
AUXILIARY_CLASSIFIER = f"{AUXILIARY}.{CLASSIFIER}"


def is_classifier(path: str) -> bool:
    """Whether a layer's name, or a variable's path, is of a layer whose shape depends on the classes."""
    return CLASSIFIER in path.split("/")[0].split(".")


def has_trained_classifier(model: keras.Model) -> bool:
    """Whether the biases of a model's last classifier are no longer the zeros that it began with."""
    biases = [
        variable
        for layer in model.layers
        if is_classifier(layer.name) and not layer.name.startswith(AUXILIARY)
        for variable in layer.weights
        if variable.path.endswith("/bias")
    ]
    return any(bool(keras.ops.any(bias != 0)) for bias in biases)


def scores(x, classes: int, *, kernel_size: int = 1, name: str = CLASSIFIER):
    """Convolution with bias to one channel per class; `name` must hold the word of all classifiers."""
    return DilatedConv2D(
        classes,
        kernel_size=kernel_size,
        use_bias=True,
        # Small, so that a fresh classifier starts at equal scores whatever the features' scale.
        kernel_initializer="glorot_uniform",
        name=name,
    )(x)


def logits(
    x,
    image,
    *,
    label_set: LabelSet,
    convention: str,
    factor: int | None = None,
    extended=None,
    enlarged=None,
):
    """Scores resized to the size of `image`, as the logits of a model.

    With a `factor` the resize is one by exactly so much, and a crop; see `zoo.layers.resize.Resize`. With an
    `extended` image it is one to the size of that, and a crop. With an `enlarged` image what stands for the
    image in both is that, and the result is resized to the image's own size.
    """
    places = {"extended": extended, "enlarged": enlarged}
    x, how = _placed(x, convention=convention, factor=factor, name=LOGITS, **places)
    return SegmentationLogits(label_set=label_set, name=LOGITS, **how)([x, image])


def _placed(x, *, convention: str, factor: int | None, extended, enlarged, name: str):
    """Scores that need one more resize, to the image, and the settings of that."""
    if extended is not None:
        x, factor = Resize(convention=convention, name=f"{name}.extended")([x, extended]), 1
    if enlarged is None:
        return x, {"convention": convention, "factor": factor}
    if (convention, factor) != ("half_pixel", None):
        x = Resize(convention=convention, factor=factor, name=f"{name}.enlarged")([x, enlarged])
    # Half-pixel centres: the map covers what the image covers, however large each is.
    return x, {"convention": "half_pixel", "factor": None}


def classify(x, image, *, label_set: LabelSet, convention: str, factor: int | None = None):
    """1×1 convolution with bias to one channel per class, then resize to the size of `image`.

    With a `factor` the resize is one by exactly so much, and a crop; see `zoo.layers.resize.Resize`.
    """
    x = scores(x, len(label_set))
    return logits(x, image, label_set=label_set, convention=convention, factor=factor)


def auxiliary_features(x, *, norm: Norm, dropout: float = 0.1):
    """3×3 convolution to a quarter of the channels, batch norm, ReLU, dropout (torchvision's FCN head)."""
    x = conv_bn_act(x, max(1, x.shape[-1] // 4), 3, norm=norm, name=f"{AUXILIARY}.reduce")
    return keras.layers.Dropout(dropout, name=f"{AUXILIARY}.dropout")(x)


def classify_auxiliary(x, image, *, classes: int, **places):
    """Scores of the auxiliary features, resized to the size of `image`, as float32; see `logits`."""
    name = f"{AUXILIARY}.{LOGITS}"
    x, how = _placed(scores(x, classes, name=AUXILIARY_CLASSIFIER), name=name, **places)
    return Resize(name=name, **how)([x, image])


def outputs(
    x,
    image,
    *,
    label_set: LabelSet,
    convention: str,
    norm: Norm,
    kernel_size: int = 1,
    stride: int | None = None,
    grid: int | None = None,
    extended=None,
    enlarged=None,
    auxiliary=None,
    auxiliary_stride: int = 16,
):
    """What a model gives: logits, or ``{"logits", "auxiliary"}`` where an auxiliary loss is wanted.

    The second output supervises an earlier stage while training (Zhao et al. 2017, section 3.3, with weight
    0.4); `without_auxiliary` drops it afterwards.

    Args:
        x: Features of the head.
        image: The model's input.
        label_set: Classes of the logits.
        convention: See `zoo.layers.resize.Resize`.
        norm: Batch normalization's settings in the auxiliary head.
        kernel_size: Of the classifier.
        stride: Pixels of the image for each position of `x`, where they are less than the output stride.
        grid: Output stride, where the features are those of an image padded to whole cells by
            `zoo.models.blocks.image_on_grid`.
        extended: That padded image, where it is what the scores are enlarged to.
        enlarged: The image as it is enlarged within the model, where it is.
        auxiliary: Features of the earlier stage, or `None` for a model with one output.
        auxiliary_stride: Pixels of the image for each position of those, unless the output stride is less.
    """
    classes = len(label_set)
    common = {"convention": convention, "extended": extended, "enlarged": enlarged}
    x = scores(x, classes, kernel_size=kernel_size)
    factor = None if grid is None else min(grid, stride or grid)
    first = logits(x, image, label_set=label_set, factor=factor, **common)
    if auxiliary is None:
        return first
    x = auxiliary_features(auxiliary, norm=norm)
    factor = None if grid is None else min(grid, auxiliary_stride)
    second = classify_auxiliary(x, image, classes=classes, factor=factor, **common)
    return {LOGITS: first, AUXILIARY: second}
