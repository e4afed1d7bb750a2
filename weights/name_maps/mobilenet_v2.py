"""MobileNetV2 by its two publishers: torchvision (features.*) and TF-slim (expanded_conv*)."""

from __future__ import annotations

from zoo.weights.name_maps.base import Layers, NameMap

BLOCKS = 17


def torchvision_layers(*, prefix: str = "") -> Layers:
    """Our layers → torchvision's ``features.*`` under a prefix; the first block has no expansion."""
    features = f"{prefix}features"
    table = {"backbone.stem.conv": f"{features}.0.0", "backbone.stem.bn": f"{features}.0.1"}
    for block in range(BLOCKS):
        ours, theirs = f"backbone.block{block}", f"{features}.{block + 1}.conv"
        parts = ["depthwise"] if block == 0 else ["expand", "depthwise"]
        for index, part in enumerate(parts):
            table[f"{ours}.{part}.conv"] = f"{theirs}.{index}.0"
            table[f"{ours}.{part}.bn"] = f"{theirs}.{index}.1"
        table[f"{ours}.project.conv"] = f"{theirs}.{len(parts)}"
        table[f"{ours}.project.bn"] = f"{theirs}.{len(parts) + 1}"
    return table


def slim_layers() -> Layers:
    """Our convolutions → TF-slim's ``MobilenetV2/expanded_conv[_i]/{expand,depthwise,project}``."""
    table = {"backbone.stem.conv": "MobilenetV2/Conv"}
    for block in range(BLOCKS):
        theirs = "MobilenetV2/expanded_conv" + (f"_{block}" if block else "")
        for part in ("depthwise", "project") if block == 0 else ("expand", "depthwise", "project"):
            table[f"backbone.block{block}.{part}.conv"] = f"{theirs}/{part}"
    return table


TORCHVISION_MOBILENET_V2 = NameMap(
    key="torchvision_mobilenet_v2",
    layout="torch",
    layers=torchvision_layers(),
    # The 1280-channel convolution and the ImageNet classifier: segmentation ends before them.
    ignored=("features.18.*", "classifier.1.*", "*.num_batches_tracked"),
    scope=("backbone.",),
)

TF_DEEPLAB_MOBILENET_V2 = NameMap(
    key="tf_deeplab_mobilenet_v2",
    layout="tflite",
    layers={
        **slim_layers(),
        "aspp.conv0.conv": "aspp0",
        "aspp.pool.conv": "image_pooling",
        "aspp.project.conv": "concat_projection",
        "classifier": "logits/semantic",
    },
)
