"""DeepLabV3 and DeepLabV3+ of VainF/DeepLabV3Plus-Pytorch, on ResNets and MobileNetV2.

A network is ``backbone.*`` (torchvision's names; MobileNetV2 in two halves, which count on) and
``classifier.*``, within which the classifier is ``classifier.classifier``. Its decoder concatenates the
low-level features ahead of the encoder's, ours behind them: kernels behind that are regrouped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap, Settings, outputs_where
from zoo.weights.name_maps.mobilenet_v2 import torchvision_layers as mobilenet_v2_layers
from zoo.weights.name_maps.torchvision import pairs, resnet_layers

RESNETS = ("resnet50", "resnet101", "resnet152")
BACKBONES = (*RESNETS, "mobilenet_v2")
BRANCHES = 3
# Blocks of MobileNetV2 that belong to the half with the low-level features.
_LOW = 4
_LOW_LEVEL = "classifier.project.0.weight"


def backbone_layers(backbone: str) -> Layers:
    """Our layers of a backbone → theirs."""
    if backbone in RESNETS:
        return resnet_layers(backbone, prefix="backbone.")

    def place(theirs: str) -> str:
        _, number, rest = theirs.split(".", 2)
        half = "low_level_features" if int(number) < _LOW else "high_level_features"
        return f"backbone.{half}.{number}.{rest}"

    return {ours: place(theirs) for ours, theirs in mobilenet_v2_layers().items()}


def _conv(ours: str, conv: str, norm: str, *, separable: bool = False) -> Layers:
    if not separable:
        return pairs(ours, conv, norm)
    halves = {f"{ours}.depthwise.conv": f"{conv}.body.0"}
    return halves | pairs(f"{ours}.pointwise", f"{conv}.body.1", norm)


def _aspp(place: str, *, separable: bool) -> Layers:
    table = pairs("aspp.conv0", f"{place}.convs.0.0", f"{place}.convs.0.1")
    for branch in range(1, BRANCHES + 1):
        theirs = f"{place}.convs.{branch}"
        table |= _conv(f"aspp.conv{branch}", f"{theirs}.0", f"{theirs}.1", separable=separable)
    table |= pairs("aspp.pool", f"{place}.convs.4.1", f"{place}.convs.4.2")
    return table | pairs("aspp.project", f"{place}.project.0", f"{place}.project.1")


def _deeplabv3() -> Layers:
    return {
        **_aspp("classifier.classifier.0", separable=False),
        **pairs("head", "classifier.classifier.1", "classifier.classifier.2"),
        "classifier": "classifier.classifier.4",
    }


def _plus(*, separable: bool) -> Layers:
    return {
        **_aspp("classifier.aspp", separable=separable),
        **pairs("decoder.low_level", "classifier.project.0", "classifier.project.1"),
        **_conv("decoder.conv1", "classifier.classifier.0", "classifier.classifier.1", separable=separable),
        "classifier": "classifier.classifier.3",
    }


def encoder_first(array: np.ndarray, settings: Settings) -> np.ndarray:
    """The input channels of a kernel behind the concatenation, those of the encoder ahead."""
    low = int(settings["low_level_channels"])
    return np.concatenate([array[:, :, low:], array[:, :, :low]], axis=2)


def _settings(**kernels: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, int]]:
    return lambda source: outputs_where(source, kernels)


def key_of(architecture: str, backbone: str, form: str = "") -> str:
    """Key of a map; `form` is ``"separable"`` where the 3×3 convolutions of the head are."""
    return "_".join(filter(None, ("vainf", architecture, backbone, form)))


def _maps(backbone: str, form: str):
    layers, separable = backbone_layers(backbone), form == "separable"
    common = {"layout": "torch", "ignored": ("*.num_batches_tracked",)}
    yield NameMap(
        key=key_of("deeplabv3_plus", backbone, form),
        layers={**layers, **_plus(separable=separable)},
        settings=_settings(low_level_channels=_LOW_LEVEL, classes="classifier.classifier.3.weight"),
        transforms={"decoder.conv1.*kernel": encoder_first},
        **common,
    )
    if not separable:
        yield NameMap(
            key=key_of("deeplabv3_aspp", backbone),
            layers={**layers, **_deeplabv3()},
            settings=_settings(classes="classifier.classifier.4.weight"),
            **common,
        )


VAINF = tuple(
    name_map for backbone in BACKBONES for form in ("", "separable") for name_map in _maps(backbone, form)
)
