"""Layers that Keras lacks: natively dilated convolutions, padding, pooling, resizing and preprocessing."""

from zoo.layers.activations import HardSigmoid, HardSwish
from zoo.layers.common import PACKAGE
from zoo.layers.convolution import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.enlarging import Enlarge
from zoo.layers.fake_quantization import FakeQuantize, Scale, Shift
from zoo.layers.normalization import FusedBatchNormalization
from zoo.layers.operations import (
    dilated_conv2d,
    dilated_depthwise_conv2d,
    dilated_valid_conv2d,
    forward_only,
)
from zoo.layers.padding import JoinTiles, PadToMultiple, ReflectionPadding2D
from zoo.layers.pooling import AdaptiveAveragePooling2D, BroadcastLike
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import Resize, SegmentationLogits, label_set_of, resize_bilinear
from zoo.layers.upsampling import BilinearUpsampling2D, DepthToSpace

__all__ = [
    "PACKAGE",
    "AdaptiveAveragePooling2D",
    "BilinearUpsampling2D",
    "BroadcastLike",
    "DepthToSpace",
    "DilatedConv2D",
    "DilatedDepthwiseConv2D",
    "Enlarge",
    "FakeQuantize",
    "FusedBatchNormalization",
    "HardSigmoid",
    "HardSwish",
    "JoinTiles",
    "Normalize",
    "PadToMultiple",
    "ReflectionPadding2D",
    "Resize",
    "Scale",
    "SegmentationLogits",
    "Shift",
    "dilated_conv2d",
    "dilated_depthwise_conv2d",
    "dilated_valid_conv2d",
    "forward_only",
    "label_set_of",
    "resize_bilinear",
]
