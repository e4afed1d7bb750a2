"""The backbones by name, and what each can do. Reading this table imports no TensorFlow.

A new backbone is its module and one row. Every architecture then has it whose needs the row meets
(`zoo.models.architectures.table`). Weights for it are a name map and entries of the catalog.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from zoo.errors import InputError

PADDING, RATES, WIDTH, MULTI_GRID = "padding", "rates", "width", "multi_grid"
MARGIN, AUXILIARY, LIGHT = "margin", "auxiliary", "light"
# What `Backbone.build` takes besides, and the value by which it asks for nothing.
_OPTIONS = {WIDTH: 1.0, MULTI_GRID: None, RATES: None}


def resolve_function(place: str | Callable) -> Callable:
    """The function at ``"module:function"``, imported now; a function is itself."""
    if callable(place):
        return place
    module, function = place.split(":")
    return getattr(importlib.import_module(module), function)


def early(stride: int) -> str:
    """The capability of a backbone with a feature of that stride ahead of the last one."""
    return f"stride {stride}"


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One row of the table: a network of features, built on a normalized image.

    Attributes:
        name: Second part of the names of its models.
        builder: ``"module:function"``, or the function itself. Called with the image, ``convention``,
            ``output_stride``, the row's `settings` and the options that it can do; gives its features by
            name, under layers whose names begin with ``backbone.``.
        settings: Arguments of the builder that make this backbone, such as the depth of a ResNet.
        features: Stride of each feature in the undilated network, in the order of the network.
        last: The feature that heads read.
        auxiliary: The feature that a second head reads while training; `None` for a backbone without one.
        conventions: Names of the conventions in which its weights are published; the first is the default.
        can: Of ``"width"`` (a multiplier of its channels), ``"multi_grid"`` (factors of the last stage's
            rates) and ``"rates"`` (one rate for each block of the stages that output stride 8 dilates).
        blocks: ``"module:function"`` or the function; called with `settings`, gives the kernel sizes of those
            blocks by the feature that they end in. Belongs to ``"rates"``.
        light: Whether it is made of separable convolutions, so that heads are separable by default too.
        margin: Pixels of reflection that the image needs on each side, because nothing in it pads; 0 for a
            backbone that pads. One with a margin is a front end of `zoo.models.architectures.
            context_aggregation`, whose builder takes ``output_stride``, ``width`` and ``dropout``.

    Raises:
        InputError: A row that contradicts itself.
    """

    name: str
    builder: str | Callable
    features: Mapping[str, int]
    conventions: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    last: str = "c5"
    auxiliary: str | None = None
    can: frozenset[str] = frozenset()
    blocks: str | Callable | None = None
    light: bool = False
    margin: int = 0

    def __post_init__(self) -> None:
        for name in ("settings", "features"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "can", frozenset(self.can))
        if unknown := self.can - set(_OPTIONS):
            named = ", ".join(sorted(unknown))
            raise InputError(f"backbone {self.name!r} can be given {', '.join(_OPTIONS)}, not {named}")
        for feature in (self.last, self.auxiliary):
            if feature is not None and feature not in self.features:
                raise InputError(
                    f"backbone {self.name!r} has the features {list(self.features)}, no {feature!r}"
                )
        if not self.conventions or (RATES in self.can) != (self.blocks is not None):
            raise InputError(
                f"backbone {self.name!r} needs a convention, and blocks exactly if it takes rates"
            )

    @property
    def capabilities(self) -> frozenset[str]:
        """What architectures ask for: `can`, ``"padding"`` or ``"margin"``, ``"auxiliary"``, ``"light"``.

        And the strides of the features ahead of the last, such as ``"stride 4"`` (`early`).
        """
        has = {
            PADDING: not self.margin,
            MARGIN: bool(self.margin),
            AUXILIARY: self.auxiliary is not None,
            LIGHT: self.light,
        }
        strides = {early(stride) for name, stride in self.features.items() if name != self.last}
        return self.can | {name for name, there in has.items() if there} | strides

    def early_feature(self, stride: int, *, first: bool = False) -> str:
        """The name of the last feature of that stride ahead of `last`, or the `first` of them.

        Raises:
            InputError: There is none.
        """
        found = [name for name, there in self.features.items() if there == stride and name != self.last]
        if not found:
            raise InputError(
                f"backbone {self.name!r} has the features {dict(self.features)}, none of {stride} ahead of "
                f"{self.last}"
            )
        return found[0 if first else -1]

    def convention_for(self, preferred: str | None) -> str:
        """`preferred`, where weights of this backbone are published in it; else the backbone's own."""
        return preferred if preferred in self.conventions else self.conventions[0]

    def function(self) -> Callable:
        """The builder; imports TensorFlow."""
        return resolve_function(self.builder)

    def kernels(self) -> dict[str, tuple[int, ...]]:
        """Kernel sizes of the blocks that output stride 8 dilates, by the feature that they end in."""
        return resolve_function(self.blocks)(**self.settings)

    def auxiliary_of(self, features: Mapping) -> dict:
        """What `zoo.models.heads.classifier.outputs` takes for a second output.

        Raises:
            InputError: A backbone without an auxiliary feature.
        """
        if self.auxiliary is None:
            others = ", ".join(b.name for b in backbones() if b.auxiliary is not None)
            raise InputError(f"backbone {self.name!r} has no auxiliary feature; these have one: {others}")
        return {"auxiliary": features[self.auxiliary], "auxiliary_stride": self.features[self.auxiliary]}

    def build(
        self,
        x,
        *,
        convention,
        output_stride: int,
        width: float = 1.0,
        multi_grid: tuple[int, ...] | None = None,
        rates: Mapping[str, tuple[int, ...]] | None = None,
    ) -> dict:
        """The features of a normalized image by name.

        Args:
            x: ``(batch, height, width, 3)``, normalized as the convention says.
            convention: A `zoo.models.conventions.Convention`.
            output_stride: 8, 16 or 32; strides beyond it become dilation.
            width: Multiplier of all channel counts.
            multi_grid: Factors of the rates of the last stage's blocks.
            rates: Rates of the blocks that end in a feature.

        Raises:
            InputError: An option that this backbone does not have, or whose value is impossible.
        """
        given = {WIDTH: width, MULTI_GRID: multi_grid, RATES: rates}
        for option, value in given.items():
            if option not in self.can and value != _OPTIONS[option]:
                raise InputError(_cannot(self, option, value))
        options = {option: given[option] for option in given if option in self.can}
        fixed = {"convention": convention, "output_stride": output_stride, **self.settings}
        return self.function()(x, **fixed, **options)


def _cannot(backbone: Backbone, option: str, value) -> str:
    others = ", ".join(b.name for b in backbones() if option in b.can)
    own = ", ".join(o for o in _OPTIONS if o in backbone.can) or "none"
    return (
        f"backbone {backbone.name!r} has no {option}, got {value!r}; its options are: {own}; "
        f"backbones with {option}: {others or 'none'}"
    )


_STRIDES = {"c1": 2, "c2": 4, "c3": 8, "c4": 16, "c5": 32}
_HERE = "zoo.models.backbones"


def _resnet(depth: str) -> Backbone:
    return Backbone(
        name=depth,
        builder=f"{_HERE}.resnet:resnet",
        settings={"depth": depth},
        features=_STRIDES,
        auxiliary="c4",
        conventions=("torchvision", "caffe_pspnet", "tusimple_duc", "smp"),
        can=frozenset({MULTI_GRID, RATES}),
        blocks=f"{_HERE}.resnet:dilated_blocks",
    )


_ROWS = (
    Backbone(
        name="mobilenet_v2",
        builder=f"{_HERE}.mobilenet_v2:mobilenet_v2",
        features=_STRIDES,
        auxiliary="c4",
        conventions=("torchvision", "tf_deeplab", "tf_deeplab_folded", "smp"),
        can=frozenset({WIDTH, MULTI_GRID, RATES}),
        blocks=f"{_HERE}.mobilenet_v2:dilated_blocks",
        light=True,
    ),
    Backbone(
        name="mobilenet_v3_large",
        builder=f"{_HERE}.mobilenet_v3:mobilenet_v3_large",
        features={"c1": 2, "c2": 4, "c3_first": 8, "c3": 8, "c4": 16, "c5": 32},
        auxiliary="c3_first",
        conventions=("torchvision_mobilenet_v3", "torchvision_mobilenet_v3_dilated"),
        can=frozenset({WIDTH, RATES}),
        blocks=f"{_HERE}.mobilenet_v3:dilated_blocks",
        light=True,
    ),
    *map(_resnet, ("resnet50", "resnet101", "resnet152")),
    Backbone(
        name="vgg16",
        builder=f"{_HERE}.vgg16:vgg16",
        features={"c1": 1, "c2": 2, "c3": 4, "c4": 8, "c5": 16, "fc7": 32},
        last="fc7",
        conventions=(
            "torchvision",
            "caffe_dilation_voc",
            "caffe_dilation_camvid",
            "caffe_dilation_kitti",
            "caffe_dilation_cityscapes",
        ),
        can=frozenset({WIDTH}),
        # Makes the map ⌈image / output stride⌉ cells long, at every output stride: a cell reads
        # 372 + output stride pixels, since a pooling and the rate in its place widen the field alike.
        margin=186,
    ),
)
BACKBONES: Mapping[str, Backbone] = MappingProxyType({row.name: row for row in _ROWS})
"""The zoo's own backbones by name."""

_REGISTERED: dict[str, Backbone] = {}


def register_backbone(row: Backbone) -> None:
    """Add a backbone of one's own: every architecture whose needs it meets then has a model on it.

    For this process; `unregister_backbone` takes it away again. A ``.keras`` file needs no registration.

    Raises:
        InputError: Not a row, or a name that is taken.
    """
    if not isinstance(row, Backbone):
        raise InputError(f"a backbone is a zoo.models.Backbone, not {row!r}")
    if row.name in BACKBONES or row.name in _REGISTERED:
        raise InputError(f"a backbone named {row.name!r} is there already; names: {', '.join(_names())}")
    _REGISTERED[row.name] = row


def unregister_backbone(name: str) -> None:
    """Take away a backbone that `register_backbone` added; `InputError` for any other name."""
    if name not in _REGISTERED:
        raise InputError(f"{name!r} was not registered; registered: {', '.join(_REGISTERED) or 'none'}")
    del _REGISTERED[name]


def backbones() -> tuple[Backbone, ...]:
    """All backbones there are, registered ones last."""
    return (*BACKBONES.values(), *_REGISTERED.values())


def _names() -> list[str]:
    return [row.name for row in backbones()]


def resolve(backbone: str | Backbone) -> Backbone:
    """The backbone of that name (a row is itself); `InputError` lists the known ones otherwise."""
    if isinstance(backbone, Backbone):
        return backbone
    found = next((row for row in backbones() if row.name == backbone), None)
    if found is None:
        raise InputError(f"backbone must be one of {', '.join(_names())}, not {backbone!r}")
    return found
