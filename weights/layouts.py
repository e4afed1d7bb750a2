"""Forms of users' own checkpoints that are no published file: how a package names and builds its networks.

A row is tried on a file of that container beside the catalog's entries. What the file cannot say, such as a
dilation, is taken as the package's default and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from zoo.weights.name_maps import hugging_face, mmseg, smp, vainf


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One form of a model's checkpoints.

    Attributes:
        name_map: Key of the name map that converts them.
        settings: Builder arguments that the weights need; read-only.
        assumed: Which of these, or of the model's own, no such file states.
    """

    name_map: str
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


# Defaults of segmentation_models_pytorch; the widths and the classes are those of the file.
_DEEPLAB = {"convention": "smp", "rates": (12, 24, 36), "head_conv": True, "dropout": 0.5}
_WIDTHS = {"aspp_channels": 256, "decoder_channels": 256, "low_level_channels": 48}
_PLUS = {**_DEEPLAB, **_WIDTHS, "output_stride": 16, "decoder_convs": 1}
_DEEPLABV3 = {**_DEEPLAB, "output_stride": 8, "multi_grid": None}
_PSPNET = {"convention": "smp", "feature": "c3", "fuse_kernel": 1, "classifier_kernel": 3, "dropout": 0.2}
_UNSTATED = ("output_stride", "rates")


def _smp(encoder: str) -> dict[str, tuple[Layout, ...]]:
    def layout(architecture: str, form: str, settings: dict, assumed: tuple[str, ...] = _UNSTATED) -> Layout:
        return Layout(name_map=smp.key_of(architecture, encoder, form), settings=settings, assumed=assumed)

    plus, deeplabv3 = "deeplabv3_plus", "deeplabv3_aspp"
    return {
        f"{plus}_{encoder}": (
            layout(plus, "", {**_PLUS, "separable": True}),
            layout(plus, "dense", {**_PLUS, "separable": False}),
        ),
        f"{deeplabv3}_{encoder}": (
            layout(deeplabv3, "", {**_DEEPLABV3, "separable": False}),
            layout(deeplabv3, "separable", {**_DEEPLABV3, "separable": True}),
            layout(deeplabv3, "early", {**_DEEPLABV3, "separable": False}),
        ),
        f"pspnet_{encoder}": (layout("pspnet", "", _PSPNET, ()),),
    }


# mmsegmentation's configurations named d8, which are nearly all of those that it publishes.
_MMSEG_ASPP = {"output_stride": 8, "rates": (12, 24, 36), "multi_grid": None, "project_kernel": 3}
_MMSEG = {
    "deeplabv3_aspp": {**_MMSEG_ASPP, "aspp_channels": 512},
    "deeplabv3_plus": {**_MMSEG_ASPP, "aspp_channels": 512, "decoder_channels": 512},
    "pspnet": {"output_stride": 8},
}


def _mmseg(depth: str) -> dict[str, tuple[Layout, ...]]:
    conventions = {"": "mmseg", "plain": "mmseg_plain"}
    return {
        f"{architecture}_{depth}": tuple(
            Layout(
                name_map=mmseg.key_of(architecture, depth, form),
                settings={**settings, "convention": convention},
                assumed=("convention", *(name for name in _UNSTATED if name in settings)),
            )
            for form, convention in conventions.items()
        )
        for architecture, settings in _MMSEG.items()
    }


# Defaults of the training script of VainF/DeepLabV3Plus-Pytorch; at output stride 8 the rates double.
_VAINF = {"convention": "vainf", "output_stride": 16, "rates_at_16": (6, 12, 18), "multi_grid": None}
_VAINF_PLUS = {**_VAINF, **_WIDTHS, "decoder_convs": 1}


def _vainf(backbone: str) -> dict[str, tuple[Layout, ...]]:
    plus, deeplabv3 = "deeplabv3_plus", "deeplabv3_aspp"
    return {
        f"{plus}_{backbone}": tuple(
            Layout(
                name_map=vainf.key_of(plus, backbone, form),
                settings={**_VAINF_PLUS, "separable": separable, "separable_decoder": separable},
                assumed=("output_stride",),
            )
            for form, separable in (("", False), ("separable", True))
        ),
        f"{deeplabv3}_{backbone}": (
            Layout(
                name_map=vainf.key_of(deeplabv3, backbone),
                settings={**_VAINF, "separable": False, "head_conv": True},
                assumed=("output_stride",),
            ),
        ),
    }


# keras.applications computes its MobileNetV2 as transformers does, at any width.
_TF_FLOAT = {"convention": "tf_deeplab_float"}
_HUGGING_FACE = {"convention": "hugging_face"}
# The head without 3×3 branches. Transformers' published network runs at stride 8, its original in TF-DeepLab
# at 16.
_MOBILE = (
    {
        "deeplabv3_aspp_mobilenet_v2": (
            Layout(
                name_map="tf_deeplab_mobilenet_v2_float",
                settings={**_TF_FLOAT, "output_stride": 16, "rates": ()},
                assumed=("output_stride",),
            ),
            Layout(
                name_map=hugging_face.DEEPLABV3,
                settings={**_HUGGING_FACE, "output_stride": 8, "rates": ()},
                assumed=("output_stride",),
            ),
        )
    },
    # Of the backbone, and so of every model on it.
    {
        "mobilenet_v2": (
            Layout(name_map="tf_slim_mobilenet_v2", settings=_TF_FLOAT),
            Layout(name_map="keras_mobilenet_v2", settings=_HUGGING_FACE),
            Layout(name_map=hugging_face.BACKBONE, settings=_HUGGING_FACE),
            Layout(name_map=hugging_face.BARE, settings=_HUGGING_FACE),
        )
    },
)


def _merged(tables: Iterable[Mapping[str, tuple[Layout, ...]]]) -> Mapping[str, tuple[Layout, ...]]:
    found = {}
    for table in tables:
        for model, rows in table.items():
            found[model] = (*found.get(model, ()), *rows)
    return MappingProxyType(found)


LAYOUTS: Mapping[str, tuple[Layout, ...]] = _merged(
    (
        *map(_smp, smp.ENCODERS),
        *map(_vainf, vainf.BACKBONES),
        *map(_mmseg, mmseg.RESNETS),
        *_MOBILE,
    )
)
"""The forms of checkpoints, by the name of the model or of the backbone."""


def layouts_of(model: str) -> tuple[Layout, ...]:
    """Forms of a model ``<architecture>_<backbone>``: its own first, then its backbone's."""
    backbones = [rows for name, rows in LAYOUTS.items() if model.endswith(f"_{name}")]
    return (*LAYOUTS.get(model, ()), *(row for rows in backbones for row in rows))
