"""DeepLabV3, DeepLabV3+ and PSPNet of mmsegmentation, on its ResNets.

A network is ``backbone.*``, ``decode_head.*`` and while training ``auxiliary_head.*``. ResNetV1c begins with
``backbone.stem``, three 3×3 convolutions; ResNetV1b has torchvision's names. Widths and classes are in the
shapes of a state dictionary; stride, rates and how it resizes are in the configuration file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.weights.name_maps.base import Layers, NameMap, outputs_where
from zoo.weights.name_maps.torchvision import pairs, resnet_layers

RESNETS = ("resnet50", "resnet101", "resnet152")
FORMS = ("", "plain")
BINS = (1, 2, 3, 6)
BRANCHES = 3
_AUXILIARY = {
    **pairs("auxiliary.reduce", "auxiliary_head.convs.0.conv", "auxiliary_head.convs.0.bn"),
    "auxiliary.classifier": "auxiliary_head.conv_seg",
}


def _unit(ours: str, theirs: str) -> Layers:
    return pairs(ours, f"{theirs}.conv", f"{theirs}.bn")


def _separable(ours: str, theirs: str) -> Layers:
    return {
        **_unit(f"{ours}.depthwise", f"{theirs}.depthwise_conv"),
        **_unit(f"{ours}.pointwise", f"{theirs}.pointwise_conv"),
    }


def backbone_layers(depth: str, *, plain: bool) -> Layers:
    """Our layers of a ResNet → those of ResNetV1c, or with torchvision's stem of ResNetV1b."""
    layers = resnet_layers(depth, prefix="backbone.")
    if plain:
        return layers
    layers = {ours: theirs for ours, theirs in layers.items() if not ours.startswith("backbone.stem.")}
    for index in range(3):
        stem = f"backbone.stem.{3 * index}", f"backbone.stem.{3 * index + 1}"
        layers |= pairs(f"backbone.stem{index + 1}", *stem)
    return layers


def _aspp(*, separable: bool) -> Layers:
    branch = _separable if separable else _unit
    table = _unit("aspp.pool", "decode_head.image_pool.1") | _unit("aspp.project", "decode_head.bottleneck")
    table |= _unit("aspp.conv0", "decode_head.aspp_modules.0")
    for index in range(1, BRANCHES + 1):
        table |= branch(f"aspp.conv{index}", f"decode_head.aspp_modules.{index}")
    return table


def _plus() -> Layers:
    table = _aspp(separable=True) | _unit("decoder.low_level", "decode_head.c1_bottleneck")
    for index in range(2):
        table |= _separable(f"decoder.conv{index + 1}", f"decode_head.sep_bottleneck.{index}")
    return table


def _pspnet() -> Layers:
    table = _unit("pyramid.fuse", "decode_head.bottleneck")
    for index, bins in enumerate(BINS):
        table |= _unit(f"pyramid.level{bins}", f"decode_head.psp_modules.{index}.1")
    return table


def _settings(**widths: str) -> Callable[[Mapping[str, np.ndarray]], dict[str, int]]:
    places = {**widths, "classes": "conv_seg"}
    kernels = {name: f"decode_head.{place}.weight" for name, place in places.items()}
    return lambda source: outputs_where(source, kernels)


def key_of(architecture: str, depth: str, form: str = "") -> str:
    """Key of a map; `form` is ``"plain"`` with torchvision's stem."""
    return "_".join(filter(None, ("mmseg", architecture, depth, form)))


_HEADS = {
    "deeplabv3_aspp": (_aspp(separable=False), _settings(aspp_channels="bottleneck.conv")),
    "deeplabv3_plus": (
        _plus(),
        _settings(
            aspp_channels="bottleneck.conv",
            low_level_channels="c1_bottleneck.conv",
            decoder_channels="sep_bottleneck.0.pointwise_conv.conv",
        ),
    ),
    "pspnet": (_pspnet(), _settings(channels="bottleneck.conv")),
}

MMSEG = tuple(
    NameMap(
        key=key_of(architecture, depth, form),
        layout="torch",
        layers={
            **backbone_layers(depth, plain=form == "plain"),
            **head,
            "classifier": "decode_head.conv_seg",
        },
        optional=_AUXILIARY,
        ignored=("*.num_batches_tracked",),
        settings=settings,
    )
    for depth in RESNETS
    for form in FORMS
    for architecture, (head, settings) in _HEADS.items()
)
