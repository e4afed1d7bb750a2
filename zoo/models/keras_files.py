"""Models and weights as Keras itself writes them: ``.keras`` and ``.weights.h5``."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

import zoo.layers
import zoo.models.heads.context  # noqa: F401 (like the layers, what a file refers to by name)
from zoo import labels, provenance
from zoo.errors import FormatError, InputError, MismatchError
from zoo.graph import is_functional
from zoo.labels import LabelSet
from zoo.layers.resize import label_set_of, logits_layer_of
from zoo.models import registry
from zoo.models.assemble import Wishes, assemble, build
from zoo.models.assignment import check_values, variables_of
from zoo.models.candidates import at_all_strides, full_settings, known_settings, the_only
from zoo.models.file_names import called
from zoo.models.heads.classifier import is_classifier
from zoo.models.keras_guard import check_size
from zoo.models.registry import ModelSpec
from zoo.models.segmentation_model import SegmentationModel
from zoo.models.surgery import renamed, with_classes, without_auxiliary
from zoo.models.variable_files import Variables, read_variables
from zoo.provenance import as_tuples
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.name_maps.own import ZOO, ZOO_BACKBONE
from zoo.weights.readers import archive


def read_keras(path: Path) -> keras.Model:
    """A zoo model that was saved as a ``.keras`` file; `FormatError` for anything else."""
    if not zipfile.is_zipfile(path):
        raise FormatError(f"{path.name}: not a readable .keras file: {_what_is_wrong(path)}")
    try:
        check_size(path)
        with called(path, ".keras") as named:
            model = keras.models.load_model(named, compile=False, safe_mode=True)
    except FormatError:
        raise
    except (*archive.DAMAGE, AttributeError) as error:
        raise FormatError(f"{path.name}: not a readable .keras file: {_first_line(error)}") from error
    check_values(arrays_of(model), subject=path.name)
    # Files of earlier versions say `keras.Model`.
    if is_functional(model) and not isinstance(model, SegmentationModel):
        return SegmentationModel(model.input, model.output, name=model.name, trainable=model.trainable)
    return model


def _what_is_wrong(path: Path) -> str:
    """Why a file is no zip archive, which Keras calls not found."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        return error.strerror or type(error).__name__
    size = path.stat().st_size
    if start == b"PK\x03\x04":
        return f"it is cut off after {size:,} bytes; copy or download it again"
    return "it is empty" if size == 0 else "it is no zip archive"


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
    if saved.name != spec.name or not wishes.is_as_saved:
        return assemble(spec, _checkpoint_of(saved, spec, path.name, wishes), wishes)
    trained = label_set_of(saved)
    chosen = wishes.labels_for(trained)
    return renamed(saved, chosen) if wishes.keeps(trained) else with_classes(saved, chosen)


def _checkpoint_of(saved: keras.Model, spec: ModelSpec, source: str, wishes: Wishes) -> Checkpoint:
    """What a saved model has for a model that is built anew: all its weights, or its backbone's."""
    arrays = arrays_of(saved)
    if saved.name == spec.name:
        settings = settings_of(saved) or full_settings(spec, wishes.arguments)
        return Checkpoint(
            source=source, arrays=arrays, name_map=ZOO, settings=settings, labels=label_set_of(saved)
        )
    if saved.name in registry.list_models() and registry.resolve(saved.name).backbone == spec.backbone:
        arrays = {p: a for p, a in arrays.items() if p.startswith(ZOO_BACKBONE.scope)}
        return Checkpoint(source=source, arrays=arrays, name_map=ZOO_BACKBONE)
    raise InputError(f"{source} holds {saved.name!r}, not {spec.name!r} or another model of its backbone")


def settings_of(model: keras.Model) -> Mapping[str, object] | None:
    """Arguments of the builder of a zoo model: as it says, or as its graph tells; `None` where neither does.

    Files of older versions do not say them. Then they are the known settings that build the same graph.
    """
    stated = logits_layer_of(model).settings
    if stated is not None or model.name not in registry.list_models():
        return stated
    spec, graph = registry.resolve(model.name), _graph_of(model)
    for settings in at_all_strides(spec, known_settings(spec, {}), {}):
        label_set, sides = label_set_of(model), tuple(model.input_shape[1:])
        extra = {"auxiliary": True} if len(model.outputs) > 1 else {}
        other = build(
            spec, Wishes(arguments={"input_shape": sides, **extra}), label_set=label_set, settings=settings
        )
        if _graph_of(other) == graph:
            return settings
    return None


def _graph_of(model: keras.Model) -> dict[str, str]:
    """What each layer computes, without what is the matter of its training or its origin."""
    aside = {"source", "label_set", "dtype", "trainable", "build_config"}
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            continue
        config = {k: v for k, v in layer.get_config().items() if k not in aside and "initializer" not in k}
        found[layer.name] = repr(sorted(as_tuples(config).items()))
    return found


def from_variables(spec: ModelSpec, path: Path, wishes: Wishes) -> keras.Model:
    """Variables without a graph, in the model that the file states; else their shapes must fit one setting.

    Raises:
        FormatError: Not a ``.weights.h5`` file that can be read, or none of a zoo model.
        InputError: Variables of another model.
        MismatchError: Shapes that fit none of the settings, or several.
    """
    content = read_variables(path)
    if content.about is not None:
        name, settings, label_set = provenance.from_text(content.about, file=path.name)
        if name != spec.name:
            raise InputError(f"{path.name} holds weights of {name!r}, not of {spec.name!r}")
        wanted = full_settings(spec, _known_names(spec, settings, file=path.name), wishes.arguments)
    else:
        label_set, wanted = None, None
    model = _fitting(spec, content, wishes, path=path, stated=wanted, label_set=label_set)
    with called(path, ".weights.h5", ".weights.json") as named:
        model.load_weights(named)
    check_values(arrays_of(model), subject=f"weights {path.name!r} for {spec.name}")
    if not wishes.arguments.get("auxiliary"):
        model = without_auxiliary(model)
    trained = label_set_of(model)
    chosen = wishes.labels_for(trained)
    return renamed(model, chosen) if wishes.keeps(trained) else with_classes(model, chosen)


def _known_names(spec: ModelSpec, settings: Mapping[str, object], *, file: str) -> Mapping[str, object]:
    unknown = sorted(set(settings) - set(full_settings(spec)))
    if unknown:
        raise MismatchError(f"{file}: states {', '.join(unknown)}, which {spec.name} does not have")
    return settings


def _fitting(spec, content: Variables, wishes: Wishes, *, path: Path, stated, label_set) -> keras.Model:
    """The model, with fresh weights, whose layers the variables of a file are."""
    candidates = [stated] if stated is not None else known_settings(spec, wishes.arguments)
    fitting = []
    for settings in candidates:
        own = {name: wishes.arguments[name] for name in ("input_shape",) if name in wishes.arguments}
        own |= {"auxiliary": True} if content.has_auxiliary or wishes.arguments.get("auxiliary") else {}
        built = _build_for_width(spec, content.width, Wishes(arguments=own), settings, label_set=label_set)
        if built is not None and content.fits(built):
            fitting.append((settings, built))
    if not fitting:
        raise MismatchError(
            f"{path.name}: {sum(content.shapes.values())} variables, {content.width} channels in the last "
            f"layer, fit none of the settings of {spec.name}; a whole model (.keras) brings its own"
        )
    if stated is None:
        the_only(spec, at_all_strides(spec, [s for s, _ in fitting], wishes.arguments), file=path.name)
    return fitting[0][1]


def from_unstated(spec: ModelSpec, checkpoint: Checkpoint, wishes: Wishes) -> keras.Model:
    """Arrays by the paths of our variables, whose settings nobody states: exactly one may fit.

    Raises:
        MismatchError: Arrays that fit none of the known settings, or several.
    """
    fitting, failure = [], None
    for settings in known_settings(spec, wishes.arguments):
        candidate = replace(checkpoint, settings=settings)
        try:
            fitting.append((settings, assemble(spec, candidate, wishes)))
        except MismatchError as error:
            failure = failure or error
    if not fitting:
        raise failure
    the_only(spec, at_all_strides(spec, [s for s, _ in fitting], wishes.arguments), file=checkpoint.source)
    return fitting[0][1]


def _build_for_width(
    spec: ModelSpec, width: int, wishes: Wishes, settings: Mapping[str, object], *, label_set: LabelSet | None
) -> keras.Model | None:
    """The model whose last classifier has `width` channels, or `None` where no class count gives them."""
    if label_set is not None:
        return build(spec, wishes, label_set=label_set, settings=settings)
    default = len(labels.resolve(spec.labels))
    model = build(spec, wishes, label_set=labels.numbered(default), settings=settings)
    last = [layer for layer in model.layers if is_classifier(layer.name)][-1]
    classes, rest = divmod(width * default, last.filters)
    if rest or classes < 2:
        return None
    if classes == default:
        return model
    return build(spec, wishes, label_set=labels.numbered(classes), settings=settings)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
