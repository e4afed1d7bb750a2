"""Numerical choices in which the sources of published weights differ, named by source.

Two implementations of one architecture agree only if all of these do. They are settings of the weights,
chosen by the catalog, never guessed from the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import InputError
from zoo.layers.preprocessing import CAFFE as CAFFE_INPUT
from zoo.layers.preprocessing import TF_DEEPLAB as TF_DEEPLAB_INPUT
from zoo.layers.preprocessing import TF_FLOAT as TF_FLOAT_INPUT
from zoo.layers.preprocessing import TORCHVISION as TORCHVISION_INPUT
from zoo.layers.preprocessing import TUSIMPLE_DUC as TUSIMPLE_DUC_INPUT
from zoo.layers.preprocessing import Normalization


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How one source of weights computes.

    Attributes:
        name: Key in `CONVENTIONS`.
        normalization: What happens to the image before the first convolution.
        padding: Of convolutions with a stride: ``"symmetric"`` or TensorFlow's ``"same"``.
        resize: ``"half_pixel"`` or ``"align_corners"``.
        batch_norm: Whether batch normalization exists, or was folded into the convolutions.
        epsilon: Batch normalization's, in the backbone.
        head_epsilon: Batch normalization's, in the head.
        channel_divisor: Widths are rounded to a multiple of this (1: not rounded).
        pool_first: Whether image pooling is the first branch that ASPP concatenates, or the last.
        stride_on_3x3: Where a ResNet bottleneck has its stride: on the 3×3 (v1.5) or the first 1×1 (v1).
        late_dilation: Whether the first block of a dilated stage keeps the rate before it.
        deep_stem: Whether a ResNet begins with three 3×3 convolutions instead of one 7×7.
        stem_channels: Widths of those three.
        pool_padding: Of a ResNet's max pooling: ``"symmetric"`` or ``"valid"``.
        resize_domain: What is enlarged at the end: ``"logits"`` or ``"probabilities"``.
        whole_cells: Whether the image is extended to a multiple of the output stride, so that what is
            enlarged covers the extended image and is cut.
        separable_norm: Whether a separable convolution of a head has batch norm and activation between its
            depthwise and its pointwise half.
        wide_last: Whether a MobileNetV2 ends with the 1280-channel convolution of its classifier.
        pad_blocks: Whether a MobileNetV2 pads the input of each block, ahead of its expansion, so that zeros
            are expanded too, and the image not at all.
        map_first: Whether pyramid pooling concatenates the map ahead of its levels.
        mean_norm: Whether the level of pyramid pooling that is a single mean has batch norm.
    """

    name: str
    normalization: Normalization
    padding: str
    resize: str
    batch_norm: bool
    epsilon: float
    head_epsilon: float
    channel_divisor: int
    pool_first: bool
    stride_on_3x3: bool = True
    late_dilation: bool = True
    deep_stem: bool = False
    stem_channels: tuple[int, int, int] = (64, 64, 128)
    pool_padding: str = "symmetric"
    resize_domain: str = "logits"
    whole_cells: bool = False
    separable_norm: bool = True
    wide_last: bool = False
    pad_blocks: bool = False
    map_first: bool = True
    mean_norm: bool = True


TORCHVISION = Convention(
    name="torchvision",
    normalization=TORCHVISION_INPUT,
    padding="symmetric",
    resize="half_pixel",
    batch_norm=True,
    epsilon=1e-5,
    head_epsilon=1e-5,
    channel_divisor=8,
    pool_first=False,
)
# The ImageNet file. The segmentation file was trained with the first block of the last stage dilated already.
TORCHVISION_MOBILENET_V3 = Convention(
    **{**TORCHVISION.__dict__, "name": "torchvision_mobilenet_v3", "epsilon": 1e-3}
)
TORCHVISION_MOBILENET_V3_DILATED = Convention(
    **{
        **TORCHVISION_MOBILENET_V3.__dict__,
        "name": "torchvision_mobilenet_v3_dilated",
        "late_dilation": False,
    }
)
# The authors' network descriptions (hszhao/PSPNet, evaluation/prototxt/pspnet101_VOC2012_473.prototxt and
# evaluation/eval_all.m): Caffe's Interp aligns corners, conv4_1 is dilated already, the stride is on the 3×3.
CAFFE_PSPNET = Convention(
    **{
        **TORCHVISION.__dict__,
        "name": "caffe_pspnet",
        "normalization": CAFFE_INPUT,
        "resize": "align_corners",
        "late_dilation": False,
        "deep_stem": True,
    }
)
# The PyPI package segmentation_models_pytorch, on torchvision's backbones: every convolution of a dilated
# stage has its rate, and images are of whole cells, whose enlargement aligns the corners.
SMP = Convention(
    **{
        **TORCHVISION.__dict__,
        "name": "smp",
        "resize": "align_corners",
        "late_dilation": False,
        "whole_cells": True,
        "separable_norm": False,
        "wide_last": True,
        "map_first": False,
        "mean_norm": False,
    }
)
# mmsegmentation: its ResNetV1c has a deep stem of half the width, and ASPP begins with the image pooling.
# Most configurations resize by half-pixel centres, those for 769×769 crops of Cityscapes align the corners.
MMSEG = Convention(
    **{
        **TORCHVISION.__dict__,
        "name": "mmseg",
        "pool_first": True,
        "deep_stem": True,
        "stem_channels": (32, 32, 64),
    }
)
MMSEG_ALIGN_CORNERS = Convention(
    **{**MMSEG.__dict__, "name": "mmseg_align_corners", "resize": "align_corners"}
)
# The same with torchvision's stem (ResNetV1b).
MMSEG_PLAIN = Convention(**{**MMSEG.__dict__, "name": "mmseg_plain", "deep_stem": False})
# VainF/DeepLabV3Plus-Pytorch: on ResNets torchvision's computation.
VAINF = Convention(
    **{**TORCHVISION.__dict__, "name": "vainf", "separable_norm": False, "pad_blocks": True},
)
TF_DEEPLAB = Convention(
    name="tf_deeplab",
    normalization=TF_DEEPLAB_INPUT,
    padding="same",
    resize="align_corners",
    batch_norm=True,
    epsilon=1e-3,
    head_epsilon=1e-5,
    # Width 0.5 has layers of 12 channels, so nothing rounds to 8 (unlike keras.applications).
    channel_divisor=1,
    pool_first=True,
)
TF_DEEPLAB_FOLDED = Convention(**{**TF_DEEPLAB.__dict__, "name": "tf_deeplab_folded", "batch_norm": False})
# The networks that TF-DeepLab and TF-slim publish as checkpoints and frozen graphs.
TF_DEEPLAB_FLOAT = Convention(
    **{**TF_DEEPLAB.__dict__, "name": "tf_deeplab_float", "normalization": TF_FLOAT_INPUT}
)
# transformers' MobileNetV2ForSemanticSegmentation: TF-DeepLab's network on the image as it is, whose scores
# its post-processing enlarges by half-pixel centres.
HUGGING_FACE = Convention(
    **{
        **TF_DEEPLAB_FLOAT.__dict__,
        "name": "hugging_face",
        "resize": "half_pixel",
        "channel_divisor": 8,
    }
)
TUSIMPLE_DUC = Convention(
    name="tusimple_duc",
    normalization=TUSIMPLE_DUC_INPUT,
    padding="symmetric",
    resize="half_pixel",
    batch_norm=True,
    # Of the authors' source; a published file states its own, which then holds.
    epsilon=1e-6,
    head_epsilon=1e-6,
    channel_divisor=8,
    pool_first=False,
    stride_on_3x3=False,
    late_dilation=False,
    deep_stem=True,
    pool_padding="valid",
    resize_domain="probabilities",
)


def _caffe_dilation(variant: str, mean_bgr: tuple[float, float, float], *, resize_domain: str) -> Convention:
    """fyu/dilation (MIT): means of its ``datasets`` files; its ``util.py`` enlarges from target / 8 exactly.

    VGG16 has no batch normalization and no padding, so those fields have no effect.
    """
    return Convention(
        name=f"caffe_dilation_{variant}",
        normalization=Normalization(tuple(reversed(mean_bgr)), (1.0,) * 3, order="bgr"),
        padding="symmetric",
        resize="asymmetric",
        batch_norm=False,
        epsilon=1e-5,
        head_epsilon=1e-5,
        channel_divisor=1,
        pool_first=False,
        resize_domain=resize_domain,
    )


CAFFE_DILATION = (
    _caffe_dilation("voc", (102.93, 111.36, 116.52), resize_domain="probabilities"),
    _caffe_dilation("camvid", (110.70313206, 108.77808759, 105.41212523), resize_domain="probabilities"),
    _caffe_dilation("kitti", (96.19429688, 95.55136972, 91.34692262), resize_domain="probabilities"),
    # Its network ends in a deconvolution of the scores; what remains is to crop.
    _caffe_dilation("cityscapes", (72.39, 82.91, 73.16), resize_domain="logits"),
)

CONVENTIONS = {
    c.name: c
    for c in (
        TORCHVISION,
        TORCHVISION_MOBILENET_V3,
        TORCHVISION_MOBILENET_V3_DILATED,
        CAFFE_PSPNET,
        SMP,
        MMSEG,
        MMSEG_ALIGN_CORNERS,
        MMSEG_PLAIN,
        VAINF,
        TF_DEEPLAB,
        TF_DEEPLAB_FOLDED,
        TF_DEEPLAB_FLOAT,
        HUGGING_FACE,
        TUSIMPLE_DUC,
        *CAFFE_DILATION,
    )
}


def resolve(convention: str | Convention) -> Convention:
    """The convention of that name; `InputError` lists the known ones otherwise."""
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise InputError(f"unknown convention {convention!r}; known: {known}")
    return CONVENTIONS[convention]
