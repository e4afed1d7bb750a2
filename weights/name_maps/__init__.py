"""Name maps: which tensor of a published file is which variable of ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from zoo.errors import InputError
from zoo.weights.name_maps.base import NameMap
from zoo.weights.name_maps.duc_hdc import TUSIMPLE_DUC_RESNET101
from zoo.weights.name_maps.hugging_face import HUGGING_FACE
from zoo.weights.name_maps.mmseg import MMSEG
from zoo.weights.name_maps.mobilenet_v2 import (
    KERAS_MOBILENET_V2,
    TF_DEEPLAB_MOBILENET_V2,
    TF_DEEPLAB_MOBILENET_V2_FLOAT,
    TF_SLIM_MOBILENET_V2,
    TORCHVISION_MOBILENET_V2,
)
from zoo.weights.name_maps.own import ZOO, ZOO_BACKBONE
from zoo.weights.name_maps.smp import SMP
from zoo.weights.name_maps.torchvision import TORCHVISION
from zoo.weights.name_maps.vainf import VAINF
from zoo.weights.name_maps.vgg16 import CAFFE_DILATION, TORCHVISION_VGG16

_ROWS = (
    TORCHVISION_MOBILENET_V2,
    *TORCHVISION,
    TF_DEEPLAB_MOBILENET_V2,
    TF_DEEPLAB_MOBILENET_V2_FLOAT,
    TF_SLIM_MOBILENET_V2,
    KERAS_MOBILENET_V2,
    TUSIMPLE_DUC_RESNET101,
    TORCHVISION_VGG16,
    *CAFFE_DILATION,
    *SMP,
    *MMSEG,
    *VAINF,
    *HUGGING_FACE,
    ZOO,
    ZOO_BACKBONE,
)
NAME_MAPS: Mapping[str, NameMap] = MappingProxyType({row.key: row for row in _ROWS})
"""The name maps by key; catalog entries refer to them."""


def resolve(key: str) -> NameMap:
    """The name map of that key; `InputError` lists the known ones otherwise."""
    if key not in NAME_MAPS:
        raise InputError(f"unknown name map {key!r}; known: {', '.join(NAME_MAPS)}")
    return NAME_MAPS[key]
