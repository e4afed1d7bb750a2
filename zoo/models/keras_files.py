"""Models and weights as Keras itself writes them: ``.keras`` and ``.weights.h5``."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import h5py
import keras
import numpy as np

import zoo.layers
import zoo.models.heads.context  # noqa: F401 (like the layers, what a file refers to by name)
from zoo import labels
from zoo.errors import FormatError, InputError, MismatchError
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.models.assemble import Wishes, assemble, build
from zoo.models.assignment import variables_of
from zoo.models.heads.classifier import is_classifier
from zoo.models.keras_guard import check_size
from zoo.models.registry import ModelSpec
from zoo.models.surgery import with_classes
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.name_maps.own import ZOO, ZOO_BACKBONE
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import check_h5


def read_keras(path: Path) -> keras.Model:
    """A zoo model that was saved as a ``.keras`` file; `FormatError` for anything else."""
    try:
        check_size(path)
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except FormatError:
        raise
    except (*archive.DAMAGE, AttributeError) as error:
        raise FormatError(f"{path.name}: not a readable .keras file: {_first_line(error)}") from error


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model by the paths of its variables."""
    return {path: keras.ops.convert_to_numpy(v) for path, v in variables_of(model).items()}


def from_model(spec: ModelSpec, path: Path, wishes: Wishes) -> keras.Model:
    """A saved model as it is, or its weights in a model that is built otherwise.

    From a model of another architecture on the same backbone come the backbone's weights.

    Raises:
        FormatError: Not a ``.keras`` file that can be read.
        InputError: A model of another backbone, or none of the zoo.
        MismatchError: Weights that do not fit what is wanted.
    """
    saved = read_keras(path)
    if saved.name == spec.name and wishes.is_as_saved:
        keep = wishes.classes in (None, label_set_of(saved))
        return saved if keep else with_classes(saved, wishes.classes)
    return assemble(spec, _checkpoint_of(saved, spec, path.name), wishes)


def _checkpoint_of(saved: keras.Model, spec: ModelSpec, source: str) -> Checkpoint:
    """What a saved model has for a model that is built anew: all its weights, or its backbone's."""
    arrays = arrays_of(saved)
    if saved.name == spec.name:
        return Checkpoint(source=source, arrays=arrays, name_map=ZOO, labels=label_set_of(saved))
    if saved.name in registry.list_models() and registry.resolve(saved.name).backbone == spec.backbone:
        arrays = {p: a for p, a in arrays.items() if p.startswith(ZOO_BACKBONE.scope)}
        return Checkpoint(source=source, arrays=arrays, name_map=ZOO_BACKBONE)
    raise InputError(f"{source} holds {saved.name!r}, not {spec.name!r} or another model of its backbone")


def from_variables(spec: ModelSpec, path: Path, wishes: Wishes) -> keras.Model:
    """Variables without a graph: their shapes must fit exactly one of the settings that the zoo knows.

    Raises:
        FormatError: Not a ``.weights.h5`` file that can be read, or none of a zoo model.
        MismatchError: Shapes that fit none of the settings, or several.
    """
    shapes, width = _read_shapes(path)
    own = Wishes(arguments=wishes.arguments)
    built = [_build_for_width(spec, width, own, settings) for settings in _known_settings(spec)]
    fitting = [model for model in built if model and shapes == _shapes(model)]
    if len(fitting) != 1:
        found = "several" if fitting else "none"
        raise MismatchError(
            f"{path.name}: {sum(shapes.values())} variables, {width} channels in the last layer, fit {found} "
            f"of the settings of {spec.name}; a whole model (.keras) brings its settings along"
        )
    model = fitting[0]
    model.load_weights(path)
    return model if wishes.classes is None else with_classes(model, wishes.classes)


def _build_for_width(spec: ModelSpec, width: int, wishes: Wishes, settings: dict) -> keras.Model | None:
    """The model whose last classifier has `width` channels, or `None` where no class count gives them."""
    default = len(labels.resolve(spec.labels))
    model = build(spec, wishes, settings=settings)
    last = [layer for layer in model.layers if is_classifier(layer.name)][-1]
    classes, rest = divmod(width * default, last.filters)
    if rest or classes < 2:
        return None
    if classes == default:
        return model
    return build(spec, wishes, label_set=labels.numbered(classes), settings=settings)


def _shapes(model: keras.Model) -> Counter:
    return Counter(tuple(v.shape) for v in variables_of(model).values())


def _known_settings(spec: ModelSpec) -> list[dict]:
    """Distinct builder settings: the model's own, and those of the weights that there are for it."""
    defaults = {name: p.default for name, p in inspect.signature(spec.build()).parameters.items()}
    known = {}
    for settings in (spec.settings, *(entry.settings for entry in spec.weights)):
        known.setdefault(repr({**defaults, **spec.settings, **settings}), dict(settings))
    return list(known.values())


def _read_shapes(path: Path) -> tuple[Counter, int]:
    """Shapes of all layers' variables, and the channels of the last convolution with a bias, a classifier."""
    check_h5(path)
    shapes, last = Counter(), (-1, 0)
    try:
        with h5py.File(path, "r") as file:
            for name, group in file["layers"].items():
                found = [v.shape for v in group.get("vars", {}).values()]
                shapes.update(found)
                if [len(shape) for shape in found] == [4, 1] and "depthwise" not in name:
                    number = name.rpartition("_")[2]
                    last = max(last, (int(number) if number.isdigit() else 0, found[1][0]))
    except (*archive.DAMAGE, AttributeError) as error:
        raise FormatError(f"{path.name}: not a readable .weights.h5 file: {_first_line(error)}") from error
    if last[0] < 0:
        raise FormatError(f"{path.name}: holds no classifier, so it is no zoo model's weights")
    return shapes, last[1]


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
