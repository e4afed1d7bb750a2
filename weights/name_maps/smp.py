"""DeepLabv3+, DeepLabv3 and PSPNet of segmentation_models_pytorch, on torchvision's ResNets and MobileNetV2.

A network is ``encoder.*`` (torchvision's names behind it), ``decoder.*`` and ``segmentation_head.0``. Its
state dictionary has the widths of the decoder and the number of classes in its shapes; the output stride and
the rates stand nowhere in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap, outputs_where
from zoo.weights.name_maps.mobilenet_v2 import torchvision_layers as mobilenet_v2_layers
from zoo.weights.name_maps.torchvision import pairs, resnet_layers

RESNETS = ("resnet50", "resnet101", "resnet152")
ENCODERS = (*RESNETS, "mobilenet_v2")
BRANCHES = 3
BINS = (1, 2, 3, 6)
# What a network that ends with c3 has no use for.
_BEHIND_C3 = {
    "resnet": ("layer3.*", "layer4.*"),
    "mobilenet_v2": tuple(f"features.{i}.*" for i in range(7, 19)),
}
_IGNORED = ("*.num_batches_tracked", "classification_head.*")


def encoder_layers(encoder: str) -> Layers:
    """Our layers of a backbone → those of the encoder."""
    if encoder in RESNETS:
        return resnet_layers(encoder, prefix="encoder.")
    last = pairs("backbone.last", "encoder.features.18.0", "encoder.features.18.1")
    return mobilenet_v2_layers(prefix="encoder.") | last


def _until_c3(layers: Layers) -> Layers:
    behind = ("backbone.stage3.", "backbone.stage4.", "backbone.last.")
    behind += tuple(f"backbone.block{block}." for block in range(6, 17))
    return {ours: theirs for ours, theirs in layers.items() if not ours.startswith(behind)}


def _separable(ours: str, depthwise: str, pointwise: str, norm: str) -> Layers:
    return {f"{ours}.depthwise.conv": depthwise, **pairs(f"{ours}.pointwise", pointwise, norm)}


def _aspp(place: str, *, separable: bool) -> Layers:
    table = pairs("aspp.conv0", f"{place}.convs.0.0", f"{place}.convs.0.1")
    for branch in range(1, BRANCHES + 1):
        ours, theirs = f"aspp.conv{branch}", f"{place}.convs.{branch}"
        if separable:
            table |= _separable(ours, f"{theirs}.0.0", f"{theirs}.0.1", f"{theirs}.1")
        else:
            table |= pairs(ours, f"{theirs}.0", f"{theirs}.1")
    table |= pairs("aspp.pool", f"{place}.convs.4.1", f"{place}.convs.4.2")
    return table | pairs("aspp.project", f"{place}.project.0", f"{place}.project.1")


def _plus(*, separable: bool) -> Layers:
    return {
        **_aspp("decoder.aspp.0", separable=separable),
        **_separable("head", "decoder.aspp.1.0", "decoder.aspp.1.1", "decoder.aspp.2"),
        **pairs("decoder.low_level", "decoder.block1.0", "decoder.block1.1"),
        **_separable("decoder.conv1", "decoder.block2.0.0", "decoder.block2.0.1", "decoder.block2.1"),
    }


def _deeplabv3(places: tuple[str, str, str], *, separable: bool) -> Layers:
    aspp, conv, norm = places
    return {**_aspp(aspp, separable=separable), **pairs("head", conv, norm)}


def _pspnet() -> Layers:
    table = pairs("pyramid.fuse", "decoder.conv.0", "decoder.conv.1")
    for index, bins in enumerate(BINS):
        theirs = f"decoder.psp.blocks.{index}.pool.1"
        level = pairs(f"pyramid.level{bins}", f"{theirs}.0", f"{theirs}.1")
        if bins == 1:  # a bias in place of the norm
            level.pop("pyramid.level1.bn")
        table |= level
    return table


def _two_classes(array: np.ndarray, settings: Mapping[str, float | int]) -> np.ndarray:
    """A second class ahead of a single one, whose score is 0: softmax of both is the sigmoid of the one."""
    if settings.get("classes") == 2 and array.shape[-1] == 1:
        return np.concatenate([np.zeros_like(array), array], axis=-1)
    return array


def _settings(**channels: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, int]]:
    """From the builder's name of a width to the kernel that has it; and the classes, at least two."""

    def settings_of(source: Mapping[str, np.ndarray]) -> dict[str, int]:
        found = outputs_where(source, {**channels, "classes": "segmentation_head.0.weight"})
        return {**found, **({"classes": max(2, found["classes"])} if "classes" in found else {})}

    return settings_of


def _map(
    key: str, encoder: Layers, head: Layers, settings: Callable, ignored: tuple[str, ...] = ()
) -> NameMap:
    return NameMap(
        key=key,
        layout="torch",
        layers={**encoder, **head, "classifier": "segmentation_head.0"},
        ignored=(*_IGNORED, *ignored),
        settings=settings,
        transforms={"classifier/*": _two_classes},
    )


def key_of(architecture: str, encoder: str, form: str = "") -> str:
    """Key of a map; `form` is ``"dense"``, ``"separable"`` or ``"early"`` where it is not the usual one."""
    return "_".join(filter(None, ("smp", architecture, encoder, form)))


# Where DeepLabv3 has its three parts, now and in early versions, whose decoder was a sequence.
_PLACES = ("decoder.aspp", "decoder.conv", "decoder.bn")
_EARLY_PLACES = ("decoder.0", "decoder.1", "decoder.2")


def _maps_on(name: str):
    encoder = encoder_layers(name)
    widths = _settings(
        aspp_channels="decoder.aspp.0.project.0.weight", decoder_channels="decoder.block2.0.1.weight"
    )
    for form, separable in (("", True), ("dense", False)):
        yield _map(key_of("deeplabv3_plus", name, form), encoder, _plus(separable=separable), widths)
    forms = (("", _PLACES, False), ("separable", _PLACES, True), ("early", _EARLY_PLACES, False))
    for form, places, separable in forms:
        widths = _settings(aspp_channels=f"{places[0]}.project.0.weight")
        head = _deeplabv3(places, separable=separable)
        yield _map(key_of("deeplabv3_aspp", name, form), encoder, head, widths)
    behind = _BEHIND_C3["resnet" if name in RESNETS else name]
    ignored = tuple(f"encoder.{pattern}" for pattern in behind)
    widths = _settings(channels="decoder.conv.0.weight")
    yield _map(key_of("pspnet", name), _until_c3(encoder), _pspnet(), widths, ignored)


SMP = tuple(name_map for encoder in ENCODERS for name_map in _maps_on(encoder))
