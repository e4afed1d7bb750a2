"""The models by name: every architecture on every backbone that has what it needs.

Reading this table imports no TensorFlow; building a model does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from zoo.errors import InputError
from zoo.models.architectures.table import ARCHITECTURES
from zoo.models.backbones.table import BACKBONES, Backbone, backbones
from zoo.models.backbones.table import resolve as resolve_backbone
from zoo.models.facts import FACTS, MEASURED, Facts, measure
from zoo.sequence.table import refusal
from zoo.weights import catalog
from zoo.weights.entry import WeightsEntry


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One named model: an architecture on a backbone, and facts that a test holds against the built model.

    Attributes:
        name: ``<architecture>_<backbone>``.
        architecture: First part of the name.
        backbone: Second part of the name.
        paper: Citation of the architecture.
        labels: Label set of a model without weights.
        settings: Arguments by which this model differs from the builder's defaults.
    """

    name: str
    architecture: str
    backbone: str
    paper: str
    labels: str
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    @property
    def facts(self) -> Facts:
        """Size, cost and reach of the model without weights.

        Those of the zoo's own models are known; a model on a registered backbone is built and measured.
        """
        if self.name in FACTS:
            return FACTS[self.name]
        from zoo import labels

        return measure(self.build()(label_set=labels.resolve(self.labels), input_shape=MEASURED))

    @property
    def weights(self) -> tuple[WeightsEntry, ...]:
        """Catalog entries for this model, its own ahead of its backbone's."""
        return catalog.entries_of(self.name)

    @property
    def default_weights(self) -> str | None:
        """Tag that ``weights="default"`` means: that of the first entry; `None` where none are published."""
        return self.weights[0].tag if self.weights else None

    def build(self) -> Callable:
        """The builder function, with this model's settings alone; imports TensorFlow.

        It is called with ``label_set`` and, if wanted, ``input_shape``, ``name`` and settings, as keywords.
        """
        return ARCHITECTURES[self.architecture].builder_on(resolve_backbone(self.backbone))


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
        output_stride: Pixels of the image for one cell of the last map of features, ahead of a decoder.
        receptive_field: Side in pixels of what such a cell sees through convolutions.
        weights: Tags that `zoo.load` takes.
        default_weights: The tag behind ``"default"``, or `None`.
        labels: Label set of each tag.
        licences: Licence of each tag.
        metrics: Score of each tag with its protocol.
        files: Suffixes of the files that `zoo.load` takes for it.
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
    files: tuple[str, ...]


def _product(backbones: Collection[Backbone]) -> tuple[ModelSpec, ...]:
    """Every architecture on every one of these backbones that has what it needs."""
    return tuple(
        ModelSpec(
            name=f"{architecture.name}_{backbone.name}",
            architecture=architecture.name,
            backbone=backbone.name,
            paper=architecture.paper,
            labels=architecture.labels,
            settings={"convention": architecture.convention_on(backbone)},
        )
        for architecture in ARCHITECTURES.values()
        for backbone in backbones
        if architecture.fits(backbone)
    )


MODELS: tuple[ModelSpec, ...] = _product(BACKBONES.values())
"""The zoo's own models."""

# The bare name of an architecture is its mobile model.
ALIASES = {s.architecture: s.name for s in MODELS if s.backbone == "mobilenet_v2"}


def specs() -> tuple[ModelSpec, ...]:
    """All models there are, those on registered backbones last."""
    return MODELS + _product([row for row in backbones() if row.name not in BACKBONES])


def resolve(name: str) -> ModelSpec:
    """The model of that name or alias; `InputError` suggests near names and lists all otherwise."""
    by_name = {spec.name: spec for spec in specs()}
    spec = by_name.get(ALIASES.get(name, name))
    if spec is not None:
        return spec
    if reason := refusal(name):
        raise InputError(reason)
    if Path(str(name)).is_file():
        raise InputError(
            f"unknown model {name!r}; a file of weights goes with the name of its model: "
            f"MODEL --weights {name}, in Python zoo.load(MODEL, weights={str(name)!r})"
        )
    known = [*ALIASES, *by_name]
    near = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown model {name!r}; {hint}known: {', '.join(known)}")


def list_models(architecture: str | None = None) -> list[str]:
    """Names of all models, or of one architecture's; `InputError` lists the architectures there are."""
    known = sorted(ARCHITECTURES)
    if architecture is not None and architecture not in known:
        raise InputError(f"unknown architecture {architecture!r}; known: {', '.join(known)}")
    return [spec.name for spec in specs() if architecture in (None, spec.architecture)]


def _score(entry: WeightsEntry) -> str:
    return f"{entry.metric} {entry.score} ({entry.protocol})"


def file_suffixes(spec: ModelSpec) -> tuple[str, ...]:
    """Ends of names of files that `zoo.load` takes for a model: Keras', the zoo's, and its publishers'."""
    from zoo.weights import containers, layouts, name_maps  # with NumPy, which a list of models needs not

    forms = (*spec.weights, *layouts.layouts_of(spec.name))
    known = {name_maps.resolve(form.name_map).layout for form in forms} | {"zoo"}
    rows = [row for row in containers.containers() if not row.layouts or known & set(row.layouts)]
    return tuple(suffix for row in rows for suffix in row.suffixes)


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
        files=file_suffixes(spec),
    )
