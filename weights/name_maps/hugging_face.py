"""MobileNetV2 of Hugging Face's transformers: with its segmentation head, TF-DeepLab's, and alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap, outputs_of, outputs_where
from zoo.weights.name_maps.mobilenet_v2 import BLOCKS, LAST_CHANNELS
from zoo.weights.name_maps.torchvision import pairs

_PARTS = {"expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"}


def _unit(ours: str, theirs: str) -> Layers:
    return pairs(ours, f"{theirs}.convolution", f"{theirs}.normalization")


def backbone_layers(prefix: str) -> Layers:
    """Our layers → theirs; the stem and the first block are one module there."""
    stem = f"{prefix}conv_stem"
    table = _unit("backbone.stem", f"{stem}.first_conv")
    for part in ("depthwise", "project"):
        table |= _unit(f"backbone.block0.{part}", f"{stem}.{_PARTS[part]}")
    for block in range(1, BLOCKS):
        for ours, theirs in _PARTS.items():
            table |= _unit(f"backbone.block{block}.{ours}", f"{prefix}layer.{block - 1}.{theirs}")
    return table


def _settings(source: Mapping[str, np.ndarray]) -> dict[str, float | int]:
    """The width of the backbone, and the classes."""
    prefix = "mobilenet_v2." if any(name.startswith("mobilenet_v2.") for name in source) else ""
    last = outputs_of(source, f"{prefix}layer.{BLOCKS - 2}.reduce_1x1.convolution.weight")
    classes = outputs_where(source, {"classes": "segmentation_head.classifier.convolution.weight"})
    return {"width": last / LAST_CHANNELS, **classes}


def _backbone(key: str, prefix: str, *ignored: str) -> NameMap:
    return NameMap(
        key=key,
        layout="torch",
        layers=backbone_layers(prefix),
        ignored=(f"{prefix}conv_1x1.*", "*.num_batches_tracked", *ignored),
        scope=("backbone.",),
        settings=_settings,
    )


DEEPLABV3 = "hugging_face_deeplabv3_mobilenet_v2"
BACKBONE, BARE = "hugging_face_mobilenet_v2", "hugging_face_mobilenet_v2_bare"

HUGGING_FACE = (
    NameMap(
        key=DEEPLABV3,
        layout="torch",
        layers={
            **backbone_layers("mobilenet_v2."),
            **_unit("aspp.pool", "segmentation_head.conv_pool"),
            **_unit("aspp.conv0", "segmentation_head.conv_aspp"),
            **_unit("aspp.project", "segmentation_head.conv_projection"),
            "classifier": "segmentation_head.classifier.convolution",
        },
        # The 1280-channel convolution of the classifier of images, which stays unused.
        ignored=("mobilenet_v2.conv_1x1.*", "*.num_batches_tracked"),
        settings=_settings,
    ),
    # The classifier of images, and the model without any head.
    _backbone(BACKBONE, "mobilenet_v2.", "classifier.*"),
    _backbone(BARE, ""),
)
