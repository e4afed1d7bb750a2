"""Forms of users' own checkpoints that are no published file: how a package names and builds its networks.

A row is tried on a file of that container beside the catalog's entries. What the file cannot say, such as a
dilation, is taken as the package's default and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from zoo.weights.name_maps.smp import ENCODERS, key_of


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


def _rows(encoder: str) -> dict[str, tuple[Layout, ...]]:
    def layout(architecture: str, form: str, settings: dict, assumed: tuple[str, ...] = _UNSTATED) -> Layout:
        return Layout(name_map=key_of(architecture, encoder, form), settings=settings, assumed=assumed)

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


LAYOUTS: Mapping[str, tuple[Layout, ...]] = MappingProxyType(
    {model: rows for encoder in ENCODERS for model, rows in _rows(encoder).items()}
)
"""The forms of each model's checkpoints, by the model's name."""
