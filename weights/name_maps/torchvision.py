"""torchvision's ResNet, MobileNetV3-Large, DeepLabv3 and LR-ASPP files.

torchvision names tensors by their place in ``nn.Sequential``: ``classifier.0.convs.4.1`` is the convolution
of the image pooling, because a pooling without tensors is number 0 of that branch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap, outputs_where

RESNET_BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
# Those of which there is a file.
PUBLISHED = ("resnet50", "resnet101")
# MobileNetV3-Large: the first block does not expand; these have squeeze-and-excitation.
V3_BLOCKS = 15
V3_SQUEEZED = (3, 4, 5, 10, 11, 12, 13, 14)


def pairs(ours: str, conv: str, norm: str) -> Layers:
    """A convolution and its batch norm → those of the source."""
    return {f"{ours}.conv": conv, f"{ours}.bn": norm}


def resnet_layers(depth: str, *, prefix: str = "") -> Layers:
    """Our layers of a ResNet backbone → torchvision's, which may stand under a prefix."""
    table = pairs("backbone.stem", f"{prefix}conv1", f"{prefix}bn1")
    for stage, blocks in enumerate(RESNET_BLOCKS[depth], start=1):
        for block in range(blocks):
            ours, theirs = f"backbone.stage{stage}.block{block}", f"{prefix}layer{stage}.{block}"
            for number, part in enumerate(("reduce", "middle", "increase"), start=1):
                table |= pairs(f"{ours}.{part}", f"{theirs}.conv{number}", f"{theirs}.bn{number}")
        first = f"{prefix}layer{stage}.0.downsample"
        table |= pairs(f"backbone.stage{stage}.block0.shortcut", f"{first}.0", f"{first}.1")
    return table


def mobilenet_v3_layers(prefix: str) -> Layers:
    """Our layers of a MobileNetV3-Large backbone → torchvision's under ``features.`` or ``backbone.``."""
    table = pairs("backbone.stem", f"{prefix}0.0", f"{prefix}0.1")
    for block in range(V3_BLOCKS):
        ours, theirs = f"backbone.block{block}", f"{prefix}{block + 1}.block"
        parts = ["depthwise"] if block == 0 else ["expand", "depthwise"]
        if block in V3_SQUEEZED:
            parts.append("squeeze")
        for index, part in enumerate([*parts, "project"]):
            if part == "squeeze":
                table[f"{ours}.squeeze.reduce.conv"] = f"{theirs}.{index}.fc1"
                table[f"{ours}.squeeze.expand.conv"] = f"{theirs}.{index}.fc2"
            else:
                table |= pairs(f"{ours}.{part}", f"{theirs}.{index}.0", f"{theirs}.{index}.1")
    last = f"{prefix}{V3_BLOCKS + 1}"
    return table | pairs("backbone.last", f"{last}.0", f"{last}.1")


def _head() -> Layers:
    table = {}
    for branch in range(4):
        theirs = f"classifier.0.convs.{branch}"
        table |= pairs(f"aspp.conv{branch}", f"{theirs}.0", f"{theirs}.1")
    table |= pairs("aspp.pool", "classifier.0.convs.4.1", "classifier.0.convs.4.2")
    table |= pairs("aspp.project", "classifier.0.project.0", "classifier.0.project.1")
    table |= pairs("head", "classifier.1", "classifier.2")
    return table | {"classifier": "classifier.4"}


def _lraspp_settings(source: Mapping[str, np.ndarray]) -> dict[str, int]:
    return outputs_where(source, {"classes": "classifier.low_classifier.weight"})


LRASPP = NameMap(
    key="torchvision_lraspp_mobilenet_v3_large",
    layout="torch",
    layers={
        **mobilenet_v3_layers("backbone."),
        **pairs("lite.reduce", "classifier.cbr.0", "classifier.cbr.1"),
        "lite.gate.conv": "classifier.scale.1",
        "classifier.low": "classifier.low_classifier",
        "classifier.high": "classifier.high_classifier",
    },
    ignored=("*.num_batches_tracked",),
    settings=_lraspp_settings,
)

AUXILIARY = {
    **pairs("auxiliary.reduce", "aux_classifier.0", "aux_classifier.1"),
    "auxiliary.classifier": "aux_classifier.4",
}


def _imagenet(key: str, layers: Layers, classifier: str) -> NameMap:
    ignored = (classifier, "*.num_batches_tracked")
    return NameMap(key=key, layout="torch", layers=layers, ignored=ignored, scope=("backbone.",))


def _deeplabv3(key: str, layers: Layers) -> NameMap:
    return NameMap(
        key=key,
        layout="torch",
        layers={**layers, **_head()},
        optional=AUXILIARY,
        ignored=("*.num_batches_tracked",),
    )


TORCHVISION = (
    *(_imagenet(f"torchvision_{depth}", resnet_layers(depth), "fc.*") for depth in PUBLISHED),
    _imagenet("torchvision_mobilenet_v3_large", mobilenet_v3_layers("features."), "classifier.*"),
    *(
        _deeplabv3(f"torchvision_deeplabv3_{depth}", resnet_layers(depth, prefix="backbone."))
        for depth in PUBLISHED
    ),
    _deeplabv3("torchvision_deeplabv3_mobilenet_v3_large", mobilenet_v3_layers("backbone.")),
    LRASPP,
)
