"""The layers that Keras lacks: convolutions that dilate natively, and what stands beside them."""

from zoo.layers.activations import HardSigmoid, HardSwish
from zoo.layers.common import PACKAGE
from zoo.layers.convolution import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.normalization import FusedBatchNormalization
from zoo.layers.operations import (
    dilated_conv2d,
    dilated_depthwise_conv2d,
    dilated_valid_conv2d,
    forward_only,
)
from zoo.layers.padding import JoinTiles, PadToMultiple, ReflectionPadding2D
from zoo.layers.pooling import AdaptiveAveragePooling2D, BroadcastLike
from zoo.layers.upsampling import BilinearUpsampling2D, DepthToSpace

__all__ = [
    "PACKAGE",
    "AdaptiveAveragePooling2D",
    "BilinearUpsampling2D",
    "BroadcastLike",
    "DepthToSpace",
    "DilatedConv2D",
    "DilatedDepthwiseConv2D",
    "FusedBatchNormalization",
    "HardSigmoid",
    "HardSwish",
    "JoinTiles",
    "PadToMultiple",
    "ReflectionPadding2D",
    "dilated_conv2d",
    "dilated_depthwise_conv2d",
    "dilated_valid_conv2d",
    "forward_only",
]
