"""The lite reduced head of MobileNetV3 (Howard et al. 2019, section 6.4, figure 10), as in torchvision."""

from __future__ import annotations

import keras

from zoo.layers import DilatedConv2D
from zoo.layers.common import CHANNELS_LAST
from zoo.layers.resize import Resize
from zoo.models.blocks import Norm, conv_bn_act
from zoo.models.heads.classifier import CLASSIFIER, scores


def lite_aspp(x, low, *, classes: int, norm: Norm, resize: str, channels: int = 128, name: str = "lite"):
    """Scores of two maps, summed: of the deep features, gated by their mean, and of finer ones.

    The gate is torchvision's, of the mean over the whole map; the paper pools over 49×49 cells with a stride,
    which at its sizes is nearly all of it.

    Args:
        x: ``(batch, h, w, any)``, the last features.
        low: ``(batch, height, width, any)``, those of stride 8.
        classes: How many scores each position has.
        norm: Batch normalization's settings.
        resize: Convention of `zoo.layers.resize.Resize`.
        channels: Width of the deep features behind their reduction, and of the gate.
        name: Prefix of the layers' names; the classifiers are ``classifier.high`` and ``classifier.low``.

    Returns:
        ``(batch, height, width, classes)``.
    """
    gate = keras.layers.GlobalAveragePooling2D(CHANNELS_LAST, keepdims=True, name=f"{name}.gate.mean")(x)
    gate = DilatedConv2D(channels, kernel_size=1, use_bias=False, name=f"{name}.gate.conv")(gate)
    gate = keras.layers.Activation("sigmoid", name=f"{name}.gate.sigmoid")(gate)
    x = conv_bn_act(x, channels, norm=norm, name=f"{name}.reduce")
    x = keras.layers.Multiply(name=f"{name}.scale")([x, gate])
    x = Resize(convention=resize, name=f"{name}.resize")([x, low])
    high = scores(x, classes, name=f"{CLASSIFIER}.high")
    return keras.layers.Add(name=f"{name}.sum")([scores(low, classes, name=f"{CLASSIFIER}.low"), high])
