"""Every architecture on every backbone, small, as tests of whole networks take them."""

import numpy as np

from zoo.labels import VOC21, named
from zoo.models import registry
from zoo.models.architectures.context_aggregation import context_aggregation
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.architectures.duc_hdc import duc_hdc
from zoo.models.architectures.pspnet import pspnet
from zoo.models.backbones import resnet

LABELS = named(("road", "sky", "tree"))
CONTEXT = {"backbone": "vgg16", "label_set": LABELS, "width": 1 / 32}


def mobile(builder, backbone="mobilenet_v2", **settings):
    return builder(backbone=backbone, label_set=LABELS, width=0.25, **settings)


def residual(builder, **settings):
    return builder(backbone="resnet50", label_set=LABELS, **settings)


def of_registry(name="duc_hdc_mobilenet_v2", **options):
    """A model of the registry without weights, as wide as it is."""
    spec = registry.resolve(name)
    return spec.build()(**{**spec.settings, "label_set": VOC21, "name": name, **options})


def images(size, channels=3, batch=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (batch, *size, channels)).astype("float32")


NETWORKS = {
    "deeplabv3_aspp_mobilenet_v2": lambda: mobile(deeplabv3_aspp, aspp_channels=16),
    "deeplabv3_aspp_mobilenet_v2 tf_deeplab": lambda: mobile(
        deeplabv3_aspp, convention="tf_deeplab", output_stride=8, rates=()
    ),
    "deeplabv3_aspp_mobilenet_v3_large": lambda: mobile(deeplabv3_aspp, "mobilenet_v3_large", head_conv=True),
    "deeplabv3_aspp_resnet": lambda: residual(deeplabv3_aspp, aspp_channels=16),
    "pspnet_mobilenet_v2": lambda: mobile(pspnet, channels=16),
    "pspnet_resnet caffe": lambda: residual(pspnet, channels=16, convention="caffe_pspnet"),
    "duc_hdc_mobilenet_v2": lambda: mobile(duc_hdc),
    "duc_hdc_resnet": lambda: residual(duc_hdc, cell=4, allow_gridding=True),
    "context_aggregation_mobilenet_v2": lambda: mobile(context_aggregation),
    "context_aggregation_vgg16": lambda: context_aggregation(**CONTEXT),
    "context_aggregation_vgg16 kitti": lambda: context_aggregation(**CONTEXT, variant="kitti"),
}


def make_narrow_resnets(monkeypatch):
    """Few blocks and few channels in every ResNet-50."""
    monkeypatch.setitem(resnet.DEPTHS, "resnet50", (1, 1, 1, 3))
    monkeypatch.setattr(resnet, "WIDTHS", (4, 8, 12, 16))
