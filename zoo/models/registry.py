"""The models by name. Reading this table imports no TensorFlow; building a model does."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

from zoo.errors import InputError
from zoo.models.facts import FACTS, Facts
from zoo.weights import catalog
from zoo.weights.entry import WeightsEntry


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One named model: its builder, and facts that a test holds against the built model.

    Attributes:
        name: ``<architecture>_<backbone>``.
        architecture: First part of the name.
        backbone: Second part of the name.
        paper: Citation of the architecture.
        builder: ``"module:function"``; called with ``label_set``, ``input_shape`` and the settings.
        labels: Label set of a model without weights.
        default_weights: Tag that ``weights="default"`` means; `None` where none are published.
        settings: Arguments of the builder.
    """

    name: str
    architecture: str
    backbone: str
    paper: str
    builder: str
    labels: str
    default_weights: str | None
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    @property
    def facts(self) -> Facts:
        """Size, cost and reach of the model without weights."""
        return FACTS[self.name]

    @property
    def weights(self) -> tuple[WeightsEntry, ...]:
        """Catalog entries for this model, its backbone's included."""
        return catalog.entries_of(self.name)

    def build(self) -> Callable:
        """The builder function; imports TensorFlow."""
        module, function = self.builder.split(":")
        return getattr(importlib.import_module(module), function)


@dataclass(frozen=True)
class ModelInfo:
    """What `zoo.info` tells of a model, without building it.

    Attributes:
        name: Name of the model.
        architecture: Its architecture.
        backbone: Its backbone.
        paper: Citation.
        parameters: Count of all variables of the model as built without weights, like the next three.
        multiply_adds: Of the convolutions, for one image of 513×513.
        output_stride: Pixels of the image for one cell of the last map of features.
        receptive_field: Side in pixels of what such a cell sees through convolutions.
        weights: Tags that `zoo.load` takes.
        default_weights: The tag behind ``"default"``, or `None`.
        labels: Label set of each tag.
        licences: Licence of each tag.
        metrics: Score of each tag with its protocol.
    """

    name: str
    architecture: str
    backbone: str
    paper: str
    parameters: int
    multiply_adds: int
    output_stride: int
    receptive_field: int
    weights: tuple[str, ...]
    default_weights: str | None
    labels: Mapping[str, str]
    licences: Mapping[str, str]
    metrics: Mapping[str, str]


CONTEXT_AGGREGATION = "Yu & Koltun 2016, Multi-Scale Context Aggregation by Dilated Convolutions"
DUC_HDC = "Wang et al. 2018, Understanding Convolution for Semantic Segmentation"
DEEPLABV3 = "Chen et al. 2017, Rethinking Atrous Convolution for Semantic Image Segmentation"
PSPNET = "Zhao et al. 2017, Pyramid Scene Parsing Network"

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="deeplabv3_aspp_mobilenet_v2",
        architecture="deeplabv3_aspp",
        backbone="mobilenet_v2",
        paper=DEEPLABV3,
        builder="zoo.models.architectures.deeplabv3_aspp:deeplabv3_aspp_mobilenet_v2",
        labels="voc21",
        default_weights="camvid",
    ),
    ModelSpec(
        name="deeplabv3_aspp_mobilenet_v3_large",
        architecture="deeplabv3_aspp",
        backbone="mobilenet_v3_large",
        paper=DEEPLABV3,
        builder="zoo.models.architectures.deeplabv3_aspp:deeplabv3_aspp_mobilenet_v3_large",
        labels="voc21",
        default_weights="coco",
    ),
    ModelSpec(
        name="deeplabv3_aspp_resnet50",
        architecture="deeplabv3_aspp",
        backbone="resnet50",
        paper=DEEPLABV3,
        builder="zoo.models.architectures.deeplabv3_aspp:deeplabv3_aspp_resnet",
        labels="voc21",
        default_weights="coco",
        settings={"depth": "resnet50"},
    ),
    ModelSpec(
        name="deeplabv3_aspp_resnet101",
        architecture="deeplabv3_aspp",
        backbone="resnet101",
        paper=DEEPLABV3,
        builder="zoo.models.architectures.deeplabv3_aspp:deeplabv3_aspp_resnet",
        labels="voc21",
        default_weights="coco",
        settings={"depth": "resnet101"},
    ),
    ModelSpec(
        name="pspnet_mobilenet_v2",
        architecture="pspnet",
        backbone="mobilenet_v2",
        paper=PSPNET,
        builder="zoo.models.architectures.pspnet:pspnet_mobilenet_v2",
        labels="voc21",
        default_weights="imagenet",
    ),
    ModelSpec(
        name="pspnet_resnet50",
        architecture="pspnet",
        backbone="resnet50",
        paper=PSPNET,
        builder="zoo.models.architectures.pspnet:pspnet_resnet",
        labels="voc21",
        default_weights="imagenet",
        settings={"depth": "resnet50"},
    ),
    ModelSpec(
        name="pspnet_resnet101",
        architecture="pspnet",
        backbone="resnet101",
        paper=PSPNET,
        builder="zoo.models.architectures.pspnet:pspnet_resnet",
        labels="voc21",
        default_weights="imagenet",
        settings={"depth": "resnet101"},
    ),
    ModelSpec(
        name="duc_hdc_mobilenet_v2",
        architecture="duc_hdc",
        backbone="mobilenet_v2",
        paper=DUC_HDC,
        builder="zoo.models.architectures.duc_hdc:duc_hdc_mobilenet_v2",
        labels="voc21",
        default_weights="camvid",
    ),
    *(
        ModelSpec(
            name=f"duc_hdc_{depth}",
            architecture="duc_hdc",
            backbone=depth,
            paper=DUC_HDC,
            builder="zoo.models.architectures.duc_hdc:duc_hdc_resnet",
            labels="voc21",
            default_weights=default,
            settings={"depth": depth},
        )
        for depth, default in (
            ("resnet50", "imagenet"),
            ("resnet101", "cityscapes"),
            ("resnet152", None),
        )
    ),
    ModelSpec(
        name="context_aggregation_mobilenet_v2",
        architecture="context_aggregation",
        backbone="mobilenet_v2",
        paper=CONTEXT_AGGREGATION,
        builder="zoo.models.architectures.context_aggregation:context_aggregation_mobilenet_v2",
        labels="voc21",
        default_weights="camvid",
    ),
    ModelSpec(
        name="context_aggregation_vgg16",
        architecture="context_aggregation",
        backbone="vgg16",
        paper=CONTEXT_AGGREGATION,
        builder="zoo.models.architectures.context_aggregation:context_aggregation_vgg16",
        labels="voc21",
        default_weights="voc2012",
        settings={"variant": "pascal_voc", "convention": "caffe_dilation_voc"},
    ),
)

_BY_NAME = {spec.name: spec for spec in MODELS}
# The bare name of an architecture is its mobile model.
ALIASES = {s.architecture: s.name for s in MODELS if s.backbone == "mobilenet_v2"}


def resolve(name: str) -> ModelSpec:
    """The model of that name or alias; `InputError` suggests near names and lists all otherwise."""
    spec = _BY_NAME.get(ALIASES.get(name, name))
    if spec is not None:
        return spec
    known = [*ALIASES, *_BY_NAME]
    near = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown model {name!r}; {hint}known: {', '.join(known)}")


def list_models(architecture: str | None = None) -> list[str]:
    """Names of all models, or of one architecture's; `InputError` lists the architectures there are."""
    known = sorted({spec.architecture for spec in MODELS})
    if architecture is not None and architecture not in known:
        raise InputError(f"unknown architecture {architecture!r}; known: {', '.join(known)}")
    return [spec.name for spec in MODELS if architecture in (None, spec.architecture)]


def _score(entry: WeightsEntry) -> str:
    return f"{entry.metric} {entry.score} ({entry.protocol})"


def info(name: str) -> ModelInfo:
    """Facts of the model of that name or alias, without importing TensorFlow."""
    spec = resolve(name)
    entries = spec.weights
    return ModelInfo(
        name=spec.name,
        architecture=spec.architecture,
        backbone=spec.backbone,
        paper=spec.paper,
        **spec.facts._asdict(),
        weights=tuple(e.tag for e in entries),
        default_weights=spec.default_weights,
        labels=MappingProxyType({e.tag: e.labels for e in entries}),
        licences=MappingProxyType({e.tag: e.licence for e in entries}),
        metrics=MappingProxyType({e.tag: _score(e) for e in entries if e.score is not None}),
    )
