"""DUC-HDC by its authors: MXNet's parameter names in an ONNX file, and cells that are laid out otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import filter as matching
from math import isqrt

import numpy as np

from zoo.errors import MismatchError
from zoo.weights.name_maps.base import Layers, NameMap
from zoo.weights.readers.onnx_file import EPSILON, SHAPE

# Bottlenecks of the four stages of ResNet-101; the source counts them conv2 to conv5.
DEPTH = (3, 4, 23, 3)
BRANCHES = 4
CLASSES = 19
_PARTS = {"reduce": "1x1_reduce", "middle": "3x3", "increase": "1x1_increase", "shortcut": "1x1_proj"}


def resnet101_layers() -> Layers:
    """Our layers → the authors' ``conv<stage>_<block>_<part>`` and ``fc1_cityscapes_c<branch>``."""
    units = {f"stem{i}": f"conv1_{i}_3x3{'_s2' if i == 1 else ''}" for i in (1, 2, 3)}
    for stage, blocks in enumerate(DEPTH, start=1):
        for block in range(blocks):
            for ours, theirs in _PARTS.items():
                if ours != "shortcut" or block == 0:
                    unit = f"stage{stage}.block{block}.{ours}"
                    units[unit] = f"conv{stage + 1}_{block + 1}_{theirs}"
    table = {}
    for ours, theirs in units.items():
        table[f"backbone.{ours}.conv"] = theirs
        table[f"backbone.{ours}.bn"] = f"{theirs}/bn"
    table.update({f"classifier.branch{b}": f"fc1_cityscapes_c{b}" for b in range(BRANCHES)})
    return table


def settings_of(source: Mapping[str, np.ndarray]) -> dict[str, float | int]:
    """What the file states: the epsilon of its batch norms, its number of classes, its cell.

    The number of classes stands in the reshape to (0, classes, -1) before the softmax; a file without one is
    taken for one with the 19 classes of Cityscapes.

    Raises:
        MismatchError: Several epsilons, or classifiers whose channels are no classes · cell².
    """
    epsilons = sorted({float(source[name]) for name in matching(source, f"*{EPSILON}")})
    if len(epsilons) != 1:
        raise MismatchError(f"the file's batch normalizations state {len(epsilons)} epsilons: {epsilons[:4]}")
    epsilon = {"epsilon": float(f"{epsilons[0]:.6g}")}
    if "fc1_cityscapes_c0_bias" not in source:
        return epsilon
    channels = source["fc1_cityscapes_c0_bias"].size
    shapes = [source[name] for name in matching(source, f"*{SHAPE}")]
    stated = [int(shape[1]) for shape in shapes if shape.shape == (3,) and shape[0] == 0 and shape[2] == -1]
    classes = stated[0] if stated and stated[0] > 0 else CLASSES
    cell = isqrt(channels // classes)
    if not cell or classes * cell**2 != channels:
        raise MismatchError(f"{channels} channels of the classifiers are no cells of {classes} classes")
    return {**epsilon, "cell": cell, "classes": classes}


def regroup(array: np.ndarray, settings: Mapping[str, int]) -> np.ndarray:
    """Channels from ``class · cell² + position`` to ``position · classes + class``, on the last axis.

    The authors reshape to (classes, positions); `zoo.layers.DepthToSpace` takes the classes of one position
    side by side. Exchanging them once here makes the layouts one.
    """
    by_class = array.reshape(*array.shape[:-1], settings["classes"], settings["cell"] ** 2)
    return np.ascontiguousarray(np.swapaxes(by_class, -1, -2)).reshape(array.shape)


TUSIMPLE_DUC_RESNET101 = NameMap(
    key="tusimple_duc_resnet101",
    layout="onnx",
    layers=resnet101_layers(),
    ignored=(f"*{EPSILON}", f"*{SHAPE}"),
    settings=settings_of,
    transforms={"classifier.branch*": regroup},
)
