"""A checkpoint and what the caller wants of the model, to a model with its weights."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import keras

from zoo import labels
from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.models.assignment import assign, variables_of
from zoo.models.heads.classifier import is_classifier
from zoo.models.registry import ModelSpec
from zoo.models.surgery import describe_parts
from zoo.weights.checkpoint import Checkpoint

log = logging.getLogger("zoo")

ANY_SIZE = (None, None, 3)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a caller wants of a model, whatever its weights say.

    Attributes:
        classes: The label set of a fresh classifier, unless the weights were trained on that very one;
            `None` keeps the weights' own.
        arguments: Arguments of the model's builder; they win over a checkpoint's settings.
    """

    classes: LabelSet | None = None
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    @property
    def is_as_saved(self) -> bool:
        """Whether any saved model has the graph that is wanted, its classes aside."""
        return self.arguments == {"input_shape": ANY_SIZE}


def wishes_for(
    spec: ModelSpec,
    *,
    classes: int | LabelSet | None,
    input_shape: tuple[int | None, int | None, int],
    output_stride: int | None,
    auxiliary: bool,
    settings: Mapping[str, object] | None,
) -> Wishes:
    """The arguments of `zoo.load`, checked against the model's builder.

    Raises:
        InputError: Classes that are none, or what the builder cannot do.
    """
    if isinstance(classes, int) and 2 <= classes <= 65_535:
        classes = labels.numbered(classes)
    if not isinstance(classes, LabelSet | None):
        raise InputError(f"classes must be an integer from 2 to 65535 or a label set, not {classes!r}")
    arguments = {"input_shape": input_shape}
    if output_stride is not None:
        arguments["output_stride"] = output_stride
    if auxiliary:
        _check_auxiliary(spec)
        arguments["auxiliary"] = True
    return Wishes(classes=classes, arguments={**arguments, **_checked_settings(spec, settings or {})})


def build(
    spec: ModelSpec,
    wishes: Wishes,
    *,
    label_set: LabelSet | None = None,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> keras.Model:
    """The model with fresh weights.

    Args:
        spec: The model's row.
        wishes: What the caller wants; wins over all else.
        label_set: The classes of the weights that it will be given; `None` for the model's own.
        settings: Arguments of the builder that these weights need.
    """
    chosen = label_set if wishes.classes is None else wishes.classes
    return spec.build()(
        **{**spec.settings, **settings, **wishes.arguments},
        label_set=labels.resolve(spec.labels) if chosen is None else chosen,
        name=spec.name,
    )


def assemble(spec: ModelSpec, checkpoint: Checkpoint, wishes: Wishes) -> keras.Model:
    """Build the model that the checkpoint and the caller's wishes make, and give it the weights, strictly.

    What was ignored, or is fresh, is said in one line.

    Raises:
        InputError: A setting that is impossible.
        MismatchError: Arrays that do not fit the model, with the difference.
    """
    model = build(spec, wishes, label_set=checkpoint.labels, settings=checkpoint.settings)
    name_map, source = checkpoint.name_map, checkpoint.source
    variables = variables_of(model)
    skip = _one_sided(variables, checkpoint)
    ignored = [path for path in skip if path in checkpoint.arrays]
    if ignored:
        named = ", ".join(ignored)
        log.info("%s: ignored %d tensors of %s: %s", spec.name, len(ignored), source, named)
    if wishes.classes not in (None, checkpoint.labels) and name_map.is_whole:
        skip += [path for path in {*variables, *checkpoint.arrays} if is_classifier(path)]
    subject = f"weights {source!r} for {spec.name}"
    kept = assign(variables, checkpoint.arrays, subject=subject, scope=name_map.scope, skip=skip)
    fresh = describe_parts([p for p in variables if p not in set(kept)], kept)
    if fresh:
        log.warning("%s: kept %d variables of %s; fresh: %s", spec.name, len(kept), source, fresh)
    if guessed := [name for name in checkpoint.assumed if name not in wishes.arguments]:
        taken = ", ".join(f"{name} {checkpoint.settings[name]}" for name in guessed)
        log.warning("%s: taken as usual, since %s does not state it: %s", spec.name, source, taken)
    return model


def _one_sided(variables: Mapping[str, object], checkpoint: Checkpoint) -> list[str]:
    """Paths of the map's optional part, where only the file or only the model has that part."""

    def optional(paths) -> set[str]:
        return {p for p in paths if p.split("/")[0] in checkpoint.name_map.optional}

    in_file, in_model = optional(checkpoint.arrays), optional(variables)
    return [] if in_file and in_model else [*sorted(in_file), *sorted(in_model)]


def _check_auxiliary(spec: ModelSpec) -> None:
    if "auxiliary" not in inspect.signature(spec.build()).parameters:
        raise InputError(f"{spec.name} has no auxiliary output")


def _checked_settings(spec: ModelSpec, settings: Mapping[str, object]) -> Mapping[str, object]:
    """`settings`, if the builder has arguments of these names that no argument of `load` stands for."""
    own = {"label_set", "input_shape", "output_stride", "auxiliary", "name"}
    known = [name for name in inspect.signature(spec.build()).parameters if name not in own]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise InputError(f"{spec.name} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return settings
