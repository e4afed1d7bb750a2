"""The architectures by name, and what each needs of a backbone. Reading this table imports no TensorFlow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from zoo.errors import InputError
from zoo.models.backbones.table import (
    AUXILIARY,
    LIGHT,
    MARGIN,
    MULTI_GRID,
    PADDING,
    RATES,
    WIDTH,
    Backbone,
    backbones,
    early,
    resolve,
    resolve_function,
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One row of the table: the network of a paper behind the features of a backbone.

    Attributes:
        name: First part of the names of its models.
        paper: Citation.
        builder: ``"module:function"``; called with ``backbone``, ``label_set``, ``input_shape``, ``name`` and
            the settings.
        needs: Capabilities of a backbone (`zoo.models.backbones.table.Backbone.capabilities`) without which
            the paper's network is not possible on it.
        optional: Settings of the builder that only some backbones have, with the capability that each needs.
        convention: The authors' own, which models on backbones with weights in it have.
        labels: Label set of a model without weights.
        output_strides: Those that it can be built at; none of them changes the shape of a weight.
    """

    name: str
    paper: str
    builder: str
    needs: frozenset[str] = frozenset()
    optional: Mapping[str, str] = field(default_factory=dict, hash=False)
    convention: str | None = None
    labels: str = "voc21"
    output_strides: tuple[int, ...] = (8, 16, 32)

    def __post_init__(self) -> None:
        object.__setattr__(self, "optional", MappingProxyType(dict(self.optional)))

    def convention_on(self, backbone: Backbone) -> str:
        """The default convention of its model on that backbone."""
        return backbone.convention_for(self.convention)

    def fits(self, backbone: Backbone) -> bool:
        """Whether it can be built on that backbone."""
        return self.needs <= backbone.capabilities

    def builder_on(self, backbone: Backbone) -> Callable:
        """The builder with that backbone, whose signature has the settings of this pair only.

        Imports TensorFlow.
        """
        builder = resolve_function(self.builder)
        bound = partial(builder, backbone=backbone)
        missing = {s for s, need in self.optional.items() if need not in backbone.capabilities}
        given = inspect.signature(builder).parameters.values()
        bound.__signature__ = inspect.Signature(
            [p for p in given if p.name != "backbone" and p.name not in missing]
        )
        return bound


_HERE = "zoo.models.architectures"

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        row.name: row
        for row in (
            Architecture(
                name="deeplabv3_aspp",
                paper="Chen et al. 2017, Rethinking Atrous Convolution for Semantic Image Segmentation",
                builder=f"{_HERE}.deeplabv3_aspp:deeplabv3_aspp",
                needs=frozenset({PADDING}),
                optional={"width": WIDTH, "multi_grid": MULTI_GRID, "auxiliary": AUXILIARY},
            ),
            Architecture(
                name="deeplabv3_plus",
                paper=(
                    "Chen et al. 2018, Encoder-Decoder with Atrous Separable Convolution for Semantic Image "
                    "Segmentation"
                ),
                builder=f"{_HERE}.deeplabv3_plus:deeplabv3_plus",
                needs=frozenset({PADDING, early(4)}),
                optional={"width": WIDTH, "multi_grid": MULTI_GRID, "auxiliary": AUXILIARY},
            ),
            Architecture(
                name="lraspp",
                paper="Howard et al. 2019, Searching for MobileNetV3",
                builder=f"{_HERE}.lraspp:lraspp",
                needs=frozenset({PADDING, LIGHT, early(8)}),
                optional={"width": WIDTH},
            ),
            Architecture(
                name="pspnet",
                paper="Zhao et al. 2017, Pyramid Scene Parsing Network",
                builder=f"{_HERE}.pspnet:pspnet",
                needs=frozenset({PADDING}),
                optional={"width": WIDTH, "auxiliary": AUXILIARY},
            ),
            Architecture(
                name="duc_hdc",
                paper="Wang et al. 2018, Understanding Convolution for Semantic Segmentation",
                builder=f"{_HERE}.duc_hdc:duc_hdc",
                needs=frozenset({PADDING, RATES}),
                optional={"width": WIDTH},
                convention="tusimple_duc",
                output_strides=(8,),
            ),
            Architecture(
                name="context_aggregation",
                paper="Yu & Koltun 2016, Multi-Scale Context Aggregation by Dilated Convolutions",
                builder=f"{_HERE}.context_aggregation:context_aggregation",
                optional={
                    "width": WIDTH,
                    "module": PADDING,
                    "variant": MARGIN,
                    "dropout": MARGIN,
                    "tiled": MARGIN,
                },
                convention="caffe_dilation_voc",
            ),
        )
    }
)
"""The zoo's architectures by name."""


def default_convention(architecture: str, backbone: Backbone) -> str:
    """Name of the convention of a model that is given none."""
    return ARCHITECTURES[architecture].convention_on(backbone)


def backbone_for(architecture: str, backbone: str | Backbone) -> Backbone:
    """The backbone of that name (a row is itself), if the architecture can stand on it.

    Raises:
        InputError: An unknown backbone, or one that lacks what the architecture needs; says which have it.
    """
    row, found = ARCHITECTURES[architecture], resolve(backbone)
    if not row.fits(found):
        lacking = ", ".join(sorted(row.needs - found.capabilities))
        possible = ", ".join(b.name for b in backbones() if row.fits(b))
        raise InputError(
            f"{architecture} needs {lacking} of a backbone, which {found.name!r} does not have; it stands on "
            f"{possible}"
        )
    return found
