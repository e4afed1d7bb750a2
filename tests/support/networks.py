"""Every architecture on every backbone, small, as tests of whole networks take them."""

import numpy as np

from zoo.labels import named
from zoo.models.architectures.context_aggregation import (
    context_aggregation_mobilenet_v2,
    context_aggregation_vgg16,
)
from zoo.models.architectures.deeplabv3_aspp import (
    deeplabv3_aspp_mobilenet_v2,
    deeplabv3_aspp_mobilenet_v3_large,
    deeplabv3_aspp_resnet,
)
from zoo.models.architectures.duc_hdc import duc_hdc_mobilenet_v2, duc_hdc_resnet
from zoo.models.architectures.pspnet import pspnet_mobilenet_v2, pspnet_resnet
from zoo.models.backbones import resnet

LABELS = named(("road", "sky", "tree"))
CONTEXT = {"label_set": LABELS, "width": 1 / 32}


def mobile(builder, **settings):
    return builder(label_set=LABELS, width=0.25, **settings)


def images(size, channels=3, batch=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (batch, *size, channels)).astype("float32")


NETWORKS = {
    "deeplabv3_aspp_mobilenet_v2": lambda: mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=16),
    "deeplabv3_aspp_mobilenet_v2 tf_deeplab": lambda: mobile(
        deeplabv3_aspp_mobilenet_v2, convention="tf_deeplab", output_stride=8, rates=()
    ),
    "deeplabv3_aspp_mobilenet_v3_large": lambda: mobile(deeplabv3_aspp_mobilenet_v3_large, head_conv=True),
    "deeplabv3_aspp_resnet": lambda: deeplabv3_aspp_resnet(label_set=LABELS, aspp_channels=16),
    "pspnet_mobilenet_v2": lambda: mobile(pspnet_mobilenet_v2, channels=16),
    "pspnet_resnet caffe": lambda: pspnet_resnet(label_set=LABELS, channels=16, convention="caffe_pspnet"),
    "duc_hdc_mobilenet_v2": lambda: mobile(duc_hdc_mobilenet_v2),
    "duc_hdc_resnet": lambda: duc_hdc_resnet(label_set=LABELS, depth="resnet50", cell=4, allow_gridding=True),
    "context_aggregation_mobilenet_v2": lambda: mobile(context_aggregation_mobilenet_v2),
    "context_aggregation_vgg16": lambda: context_aggregation_vgg16(**CONTEXT),
    "context_aggregation_vgg16 kitti": lambda: context_aggregation_vgg16(**CONTEXT, variant="kitti"),
}


def make_narrow_resnets(monkeypatch):
    """Few blocks and few channels in every ResNet-50."""
    monkeypatch.setitem(resnet.DEPTHS, "resnet50", (1, 1, 1, 3))
    monkeypatch.setattr(resnet, "WIDTHS", (4, 8, 12, 16))
