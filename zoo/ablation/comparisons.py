"""The comparisons as data: which builder settings differ between the variants, and which are alike.

All are on MobileNetV2. The sizes of the maps decide what a rate means: images of half
the papers' size at output stride 8 have the maps that theirs have at 16. A comparison of rates should be run
at a crop that the rates fit into; the report names those that do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from zoo.errors import InputError


@dataclass(frozen=True)
class Variant:
    """One of the networks that are compared.

    Attributes:
        name: Unique in its comparison.
        what: What it is, in a few words for a table.
        settings: Arguments of the model's builder, ``output_stride`` included, that make the difference.
        recipe: Settings of the recipe that do, those of its augmentation among them.
    """

    name: str
    what: str
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    recipe: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("settings", "recipe"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


@dataclass(frozen=True)
class Comparison:
    """Variants of a network in the order in which a paper ranks them.

    Attributes:
        name: As the command line names it.
        title: What is compared.
        source: The paper and the section that argues so.
        model: Name in the registry.
        variants: The best one, by the paper, first.
        settings: Arguments of the model's builder that all variants have.
        ranked: Whether a paper ranks the variants. Otherwise each is compared with the first.
    """

    name: str
    title: str
    source: str
    model: str
    variants: tuple[Variant, ...]
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    ranked: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    def only(self, names: tuple[str, ...] | None) -> Comparison:
        """The comparison of the named variants alone, in the paper's order; of all for `None`.

        Raises:
            InputError: No name, or one that is no variant.
        """
        if names is None:
            return self
        known = [variant.name for variant in self.variants]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            given = ", ".join(map(repr, unknown)) or "none"
            raise InputError(f"variants of {self.name} are {', '.join(known)}; got {given}")
        kept = tuple(variant for variant in self.variants if variant.name in names)
        return replace(self, variants=kept)


HDC = Comparison(
    "hdc",
    "hybrid against uniform rates in the dilated stages",
    "Wang et al. 2018, section 3.2",
    "duc_hdc_mobilenet_v2",
    (
        Variant("hybrid", "rates 2-5-9-1, then 5-9-17", {"rates": "hybrid"}),
        # Hybrid without a larger receptive field: the rates of each stage have the sum of the uniform ones.
        Variant("hybrid-narrow", "rates 1-2-3, then 3-4-5", {"rates": ((1, 2, 3, 1, 2, 3, 2), (3, 4, 5, 4))}),
        Variant("uniform", "rate 2, then 4", {"rates": "uniform", "allow_gridding": True}),
    ),
)

# Three branches in each, so that all have as many parameters but for the pooling branch.
ASPP = Comparison(
    "aspp",
    "atrous spatial pyramid pooling against branches at one rate",
    "Chen et al. 2017, section 4.3; several rates against one: Chen et al. 2018 (DeepLabv2)",
    "deeplabv3_aspp_mobilenet_v2",
    (
        Variant("pyramid-pooling", "rates 6, 12, 18 and image pooling", {"rates": (6, 12, 18)}),
        Variant("pyramid", "rates 6, 12, 18", {"rates": (6, 12, 18), "image_pooling": False}),
        Variant("one-rate", "rate 12 in each branch", {"rates": (12, 12, 12), "image_pooling": False}),
    ),
    {"output_stride": 8, "separable": True, "aspp_channels": 128},
)

# Bilinear upsampling is the same head with cells of one pixel. The rates are the uniform ones, since the
# paper comes to DUC before it comes to HDC; "duc" is the network "uniform" above, so both share their runs.
DUC = Comparison(
    "duc",
    "dense upsampling convolution against bilinear upsampling",
    "Wang et al. 2018, section 3.1",
    "duc_hdc_mobilenet_v2",
    (
        Variant("duc", "cells of 8×8 pixels", {}),
        Variant("bilinear", "one score per position, enlarged bilinearly", {"cell": 1}),
    ),
    {"rates": "uniform", "allow_gridding": True},
)

# The paper trains the front end first; here all layers are trained together, so that the budget is the same.
CONTEXT = Comparison(
    "context",
    "context module against the front end alone",
    "Yu & Koltun 2016, section 5",
    "context_aggregation_mobilenet_v2",
    (
        Variant("large", "large module", {"module": "large"}),
        Variant("basic", "basic module", {"module": "basic"}),
        Variant("front-end", "no module", {"module": None}),
    ),
)

# Without rates of the head, which the stride would change as well.
OUTPUT_STRIDE = Comparison(
    "output-stride",
    "output strides of the backbone, under a head of 1×1 convolutions",
    "Chen et al. 2017, section 4.2",
    "deeplabv3_aspp_mobilenet_v2",
    tuple(Variant(f"stride-{s}", f"output stride {s}", {"output_stride": s}) for s in (8, 16, 32)),
    {"rates": (), "image_pooling": False},
)

_LIGHT = {
    "gamma": 0.5,
    "gain": 0.1,
    "shadow": 0.3,
    "blur": 0.8,
    "noise": 0.03,
    "brightness": 0.15,
    "contrast": 0.3,
    "saturation": 0.4,
}
_RARE = {"rare": 0.3, "paste": 0.3}
_REGION = {"loss": {"cross-entropy": 1.0, "lovasz": 1.0}, "region_every": 3}
_RATES = {"learning_rate": 3e-3, "backbone_factor": 0.33}
_WIDE = {"aspp_channels": 256, "decoder_channels": 128}

# What a recipe may add, one at a time and all together; no paper ranks these.
RECIPE = Comparison(
    "recipe",
    "what a recipe adds, one at a time",
    "each against the recipe that is given",
    "deeplabv3_plus_mobilenet_v2",
    (
        Variant("plain", "the recipe as given"),
        Variant("light", "gamma, gain, shadow, blur, noise and stronger colours", recipe=_LIGHT),
        Variant("rare", "rare classes: crops around them, pasted things", recipe=_RARE),
        Variant("border", "pixels near borders count twice", recipe={"border_weight": 1.0}),
        Variant("focal", "focal loss, exponent 2", recipe={"focus": 2.0}),
        Variant("region", "Lovász beside cross-entropy", recipe=_REGION),
        Variant("rates", "head at 3e-3, backbone at a third of that", recipe=_RATES),
        Variant("wide", "ASPP of 256 and decoder of 128 channels", _WIDE),
        Variant("fast", "rates and wide together", _WIDE, _RATES),
        Variant(
            "all", "all but focal", _WIDE, {**_LIGHT, **_RARE, **_REGION, **_RATES, "border_weight": 1.0}
        ),
    ),
    ranked=False,
)

COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {c.name: c for c in (HDC, ASPP, DUC, CONTEXT, OUTPUT_STRIDE, RECIPE)}
)


def resolve(name: str) -> Comparison:
    """The comparison of that name; `InputError` lists the known ones otherwise."""
    if name not in COMPARISONS:
        raise InputError(f"unknown comparison {name!r}; known: {', '.join(COMPARISONS)}")
    return COMPARISONS[name]
