"""A checkpoint and what the caller wants of the model, to a model with its weights."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import keras
import numpy as np

from zoo import labels, provenance
from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.common import standard_globals, whole
from zoo.layers.resize import logits_layer_of, set_source
from zoo.models.assignment import assign, variables_of
from zoo.models.candidates import OWN, STRIDE, full_settings
from zoo.models.heads.classifier import AUXILIARY, is_classifier
from zoo.models.registry import ModelSpec
from zoo.models.surgery import describe_parts
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.name_maps.own import ZOO

log = logging.getLogger("zoo")

ANY_SIZE = (None, None, 3)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a caller wants of a model, whatever its weights say.

    Attributes:
        classes: The wanted label set; `None` keeps the weights' own.
        is_named: Whether its names are the caller's, not numbers that stand for a mere count.
        fresh: Whether the classifier is to be a fresh one; `None` for: unless the weights' fits (`keeps`).
        arguments: Arguments of the model's builder; they win over a checkpoint's settings.
    """

    classes: LabelSet | None = None
    is_named: bool = False
    fresh: bool | None = None
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    @property
    def is_as_saved(self) -> bool:
        """Whether any saved model has the graph that is wanted, its classes aside."""
        return self.arguments == {"input_shape": ANY_SIZE}

    def keeps(self, trained: LabelSet | None) -> bool:
        """Whether a classifier that was trained on those classes stays.

        As many classes are the same ones, unless both sides name them, and differently.

        Raises:
            InputError: It is to stay, but has another number of classes.
        """
        if self.fresh or self.classes is None or trained is None:
            return not self.fresh and self.classes is None
        fits = len(trained) == len(self.classes)
        if self.fresh is not None:
            if not fits:
                raise InputError(
                    f"fresh_classifier=False keeps the classifier of {len(trained)} classes, "
                    f"but classes asks for {len(self.classes)}"
                )
            return True
        nameless = not self.is_named or trained.names == labels.numbered(len(trained)).names
        return fits and (nameless or trained.names == self.classes.names)

    def labels_for(self, trained: LabelSet | None) -> LabelSet | None:
        """The classes of the model that such weights are loaded into."""
        if self.classes is None or (trained is not None and not self.is_named and self.keeps(trained)):
            return trained
        return self.classes


def wishes_for(
    spec: ModelSpec,
    *,
    classes: int | LabelSet | None,
    fresh_classifier: bool | None,
    input_shape: tuple[int | None, int | None, int],
    output_stride: int | None,
    auxiliary: bool,
    settings: Mapping[str, object] | None,
) -> Wishes:
    """The arguments of `zoo.load`, checked against the model's builder.

    Raises:
        InputError: Classes that are none, or what the builder cannot do.
    """
    is_named = isinstance(classes, LabelSet)
    if classes is not None and not is_named:
        classes = labels.numbered(_checked_count(classes))
    elif is_named:
        _check_set(classes)
    if fresh_classifier not in (None, True, False):
        raise InputError(f"fresh_classifier must be True, False or None, not {fresh_classifier!r}")
    arguments = {"input_shape": _checked_shape(input_shape)}
    if output_stride is not None:
        arguments["output_stride"] = whole(output_stride, "output_stride")
    if auxiliary:
        _check_auxiliary(spec)
        arguments["auxiliary"] = True
    common = {"classes": classes, "is_named": is_named, "fresh": fresh_classifier}
    return Wishes(**common, arguments={**arguments, **_checked_settings(spec, settings or {})})


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
    chosen = wishes.labels_for(label_set)
    arguments = {**spec.settings, **settings, **wishes.arguments}
    with standard_globals():
        model = spec.build()(
            **arguments,
            label_set=labels.resolve(spec.labels) if chosen is None else chosen,
            name=spec.name,
        )
    set_source(model, name=spec.name, weights=None)
    whole_settings = full_settings(spec, arguments)
    logits_layer_of(model).settings = whole_settings if provenance.is_plain(whole_settings) else None
    return model


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
    skip += [path for path in variables if path.split("/")[0] in checkpoint.absent]
    ignored = [path for path in skip if path in checkpoint.arrays]
    if ignored:
        named = ", ".join(ignored)
        log.info("%s: ignored %d tensors of %s: %s", spec.name, len(ignored), source, named)
    if name_map.is_whole and not wishes.keeps(checkpoint.labels):
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
    name_map = checkpoint.name_map

    def optional(paths) -> set[str]:
        if name_map.layout == ZOO.layout:
            return {p for p in paths if p.split(".")[0] == AUXILIARY}
        return {p for p in paths if p.split("/")[0] in name_map.optional}

    in_file, in_model = optional(checkpoint.arrays), optional(variables)
    return [] if in_file and in_model else [*sorted(in_file), *sorted(in_model)]


def _check_set(label_set: LabelSet) -> None:
    least, most, found = labels.FEWEST_CLASSES, labels.MOST_CLASSES, len(label_set)
    message = f"classes are {least} to {most}, the label set {label_set.key!r} has {found}"
    labels.checked_count(found, message=message)


def _checked_count(classes: object) -> int:
    least, most = labels.FEWEST_CLASSES, labels.MOST_CLASSES
    message = f"classes must be an integer from {least} to {most} or a label set, not {classes!r}"
    return labels.checked_count(classes, message=message)


def _checked_shape(shape: object) -> tuple[int | None, int | None, int]:
    """`shape` as a tuple of Python's integers."""
    message = f"input_shape must be (height, width, 3), None for any size, not {shape!r}"
    try:
        sides = tuple(side if side is None else whole(side, "a side") for side in shape)
    except (InputError, TypeError):
        raise InputError(message) from None
    if len(sides) != 3 or sides[2] != 3 or any(side is not None and side < 1 for side in sides):
        raise InputError(message)
    return sides


def _check_auxiliary(spec: ModelSpec) -> None:
    if "auxiliary" not in inspect.signature(spec.build()).parameters:
        raise InputError(f"{spec.name} has no auxiliary output")


def _checked_settings(spec: ModelSpec, settings: Mapping[str, object]) -> Mapping[str, object]:
    """`settings`, if the builder has arguments of these names that no argument of `load` stands for."""
    own = {*OWN, STRIDE}
    known = [name for name in inspect.signature(spec.build()).parameters if name not in own]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise InputError(f"{spec.name} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return {name: _of_python(value) for name, value in settings.items()}


def _of_python(value):
    """A setting without NumPy's types, so that it can be written to a file; lists become tuples."""
    if isinstance(value, np.ndarray | list | tuple):
        return tuple(map(_of_python, value))
    if isinstance(value, Mapping):
        return {key: _of_python(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value
