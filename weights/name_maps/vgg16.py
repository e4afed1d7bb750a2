"""VGG16 by torchvision, and the four networks of Yu & Koltun by Caffe."""

from __future__ import annotations

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap

REPEATS = (2, 2, 3, 3, 3)


def _convolutions() -> list[tuple[int, int]]:
    """(stage, number) of every 3×3 convolution, both from 1."""
    return [(s, c) for s, repeats in enumerate(REPEATS, start=1) for c in range(1, repeats + 1)]


def torchvision_layers() -> Layers:
    """Our layers → torchvision's; ReLU and pooling layers count in ``features.*`` too."""
    table, index, last = {}, 0, 1
    for stage, conv in _convolutions():
        index += stage - last  # the pooling between
        table[f"backbone.stage{stage}.conv{conv}.conv"] = f"features.{index}"
        index, last = index + 2, stage
    return table | {"backbone.fc6.conv": "classifier.0", "backbone.fc7.conv": "classifier.3"}


def caffe_layers(context: str, front: str, levels: int) -> Layers:
    """Our layers → the authors'.

    Args:
        context: Prefix of the context module, ``"ct_"`` or ``"ctx_"``.
        front: Name of the front end's score layer.
        levels: Number of the last dilated layer, ``conv<levels>_1``.
    """
    table = {f"backbone.stage{s}.conv{c}.conv": f"conv{s}_{c}" for s, c in _convolutions()}
    table |= {"backbone.fc6.conv": "fc6", "backbone.fc7.conv": "fc7", "classifier.front": front}
    names = ["conv1_1", "conv1_2", *(f"conv{n}_1" for n in range(2, levels + 1)), "fc1"]
    table |= {f"classifier.context.layer{i}.conv": f"{context}{n}" for i, n in enumerate(names, start=1)}
    return table | {"classifier": f"{context}final"}


def bilinear_kernels(shape: tuple[int, ...]) -> np.ndarray:
    """Caffe's ``bilinear`` filler: one tent of the kernel's size for each channel."""
    taps = np.arange(shape[-1])
    factor = (shape[-1] + 1) // 2
    centre = (2 * factor - 1 - factor % 2) / (2 * factor)
    tent = 1 - np.abs(taps / factor - centre)
    return np.broadcast_to(tent[:, None] * tent, shape)


def _caffe(variant: str, layers: Layers, **options) -> NameMap:
    return NameMap(key=f"caffe_dilation_{variant}", layout="caffe", layers=layers, **options)


TORCHVISION_VGG16 = NameMap(
    key="torchvision_vgg16",
    layout="torch",
    layers=torchvision_layers(),
    # Fully connected layers that become convolutions over what they saw at 224 × 224.
    reshaped={"classifier.0.weight": (4096, 512, 7, 7), "classifier.3.weight": (4096, 4096, 1, 1)},
    ignored=("classifier.6.*",),
    scope=("backbone.",),
)

CAFFE_DILATION = (
    _caffe("voc", caffe_layers("ct_", "fc-final", 5)),
    _caffe("camvid", caffe_layers("ctx_", "final", 5)),
    _caffe("kitti", caffe_layers("ctx_", "final", 4)),
    # The upsampling was never trained, and the model computes it without a kernel.
    _caffe("cityscapes", caffe_layers("ctx_", "final", 7), fixed={"ctx_upsample/0": bilinear_kernels}),
)
