"""MobileNetV2 by its publishers: torchvision (features.*), TF-slim (expanded_conv*) and Keras (block_*)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.errors import MismatchError
from zoo.weights.name_maps.base import Layers, NameMap

BLOCKS = 17
# Of the last block at width 1.
LAST_CHANNELS = 320


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


def _with_norms(convolutions: Layers) -> Layers:
    """The same with the batch norms of TF-slim's checkpoints, which stand beneath their convolutions."""
    table = {}
    for ours, theirs in convolutions.items():
        table |= {ours: theirs, f"{ours.removesuffix('.conv')}.bn": f"{theirs}/BatchNorm"}
    return table


def _slim_settings(source: Mapping[str, np.ndarray]) -> dict[str, float | int]:
    """The width of the backbone, and the classes."""
    last = np.shape(source[f"MobilenetV2/expanded_conv_{BLOCKS - 1}/project/weights"])
    kernel = source.get("logits/semantic/weights")
    classes = {} if kernel is None else {"classes": np.shape(kernel)[-1] if np.ndim(kernel) else 0}
    if len(last) != 4 or not min(*last, *classes.values()):
        raise MismatchError(f"kernels of the shapes {last} and {np.shape(kernel)} are none of a convolution")
    return {"width": last[-1] / LAST_CHANNELS, **classes}


def keras_layers() -> Layers:
    """Our layers → those of ``keras.applications``."""
    table = {"backbone.stem.conv": "Conv1", "backbone.stem.bn": "bn_Conv1"}
    for block in range(BLOCKS):
        theirs = f"block_{block}" if block else "expanded_conv"
        for part in ("depthwise", "project") if block == 0 else ("expand", "depthwise", "project"):
            ours = f"backbone.block{block}.{part}"
            table |= {f"{ours}.conv": f"{theirs}_{part}", f"{ours}.bn": f"{theirs}_{part}_BN"}
    return table


def _keras_settings(source: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The width of the backbone."""
    last = np.shape(source[f"block_{BLOCKS - 1}_project/kernel"])
    if len(last) != 4 or not min(last):
        raise MismatchError(f"a kernel of the shape {last} is none of a convolution")
    return {"width": last[-1] / LAST_CHANNELS}


TORCHVISION_MOBILENET_V2 = NameMap(
    key="torchvision_mobilenet_v2",
    layout="torch",
    layers=torchvision_layers(),
    # The 1280-channel convolution and the ImageNet classifier: segmentation ends before them.
    ignored=("features.18.*", "classifier.1.*", "*.num_batches_tracked"),
    scope=("backbone.",),
)

KERAS_MOBILENET_V2 = NameMap(
    key="keras_mobilenet_v2",
    layout="keras",
    layers=keras_layers(),
    ignored=("Conv_1/*", "Conv_1_bn/*", "predictions/*", "Logits/*"),
    scope=("backbone.",),
    settings=_keras_settings,
)

_TF_DEEPLAB_HEAD = {
    "aspp.conv0.conv": "aspp0",
    "aspp.pool.conv": "image_pooling",
    "aspp.project.conv": "concat_projection",
}

TF_DEEPLAB_MOBILENET_V2 = NameMap(
    key="tf_deeplab_mobilenet_v2",
    layout="tflite",
    layers={**slim_layers(), **_TF_DEEPLAB_HEAD, "classifier": "logits/semantic"},
)

# The same networks as checkpoints and frozen graphs, whose batch norms are not folded.
TF_DEEPLAB_MOBILENET_V2_FLOAT = NameMap(
    key="tf_deeplab_mobilenet_v2_float",
    layout="tensorflow",
    layers={**_with_norms(slim_layers() | _TF_DEEPLAB_HEAD), "classifier": "logits/semantic"},
    settings=_slim_settings,
)

TF_SLIM_MOBILENET_V2 = NameMap(
    key="tf_slim_mobilenet_v2",
    layout="tensorflow",
    layers=_with_norms(slim_layers()),
    ignored=("MobilenetV2/Conv_1/*", "MobilenetV2/Logits/*"),
    scope=("backbone.",),
    settings=_slim_settings,
)
