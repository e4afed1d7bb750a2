"""`zoo.load`: a named model with its weights."""

from __future__ import annotations

import importlib
import inspect
import logging
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import numpy as np

from zoo import labels
from zoo.errors import FormatError, InputError, MismatchError
from zoo.labels import LabelSet
from zoo.layers.resize import label_set_of, set_source
from zoo.models import registry
from zoo.models.heads.classifier import CLASSIFIER, is_classifier
from zoo.models.registry import ModelSpec
from zoo.models.surgery import describe_parts, with_classes
from zoo.weights import catalog, name_maps
from zoo.weights.convert import assign, convert, convert_file, read_source, split_settings
from zoo.weights.fetch import fetch, sha256_of
from zoo.weights.name_maps.own import ZOO, ZOO_BACKBONE

log = logging.getLogger("zoo")

# Kinds of file that are models of their own, not checkpoints of an original implementation.
KERAS_SUFFIXES = (".keras", ".weights.h5", ".npz")
SOURCE_SUFFIXES = {
    ".pth": "torch",
    ".pt": "torch",
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".caffemodel": "caffe",
}


def load(
    name: str,
    weights: str | Path | None = "default",
    *,
    classes: int | LabelSet | None = None,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    output_stride: int | None = None,
    auxiliary: bool = False,
    settings: Mapping[str, object] | None = None,
    allow_unverified: bool = False,
) -> keras.Model:
    """Build a model and give it weights.

    Args:
        name: A name of `zoo.list_models`, or the bare name of an architecture.
        weights: A tag of the catalog, ``"default"``, `None` for random ones, or the path of a file:
            ``.keras``, ``.weights.h5``, ``.npz`` (``zoo weights pack``), ``.pth``, ``.tflite``, ``.onnx`` or
            ``.caffemodel`` of this architecture, or ``.keras`` of another one on the same backbone, whose
            head is then fresh.
        classes: Number of classes, or the label set, of a fresh classifier on top of the loaded features;
            what was kept is logged in one line. `None` keeps the classifier of the weights, and so does the
            very label set that they were trained on.
        input_shape: ``(height, width, 3)``, `None` where any size may come.
        output_stride: 8, 16 or 32 instead of what the weights were trained at.
        auxiliary: Give the model a second output for training, where its architecture has one: the model
            then returns ``{"logits", "auxiliary"}``. `zoo.models.surgery.without_auxiliary` drops it.
        settings: Arguments of the model's builder instead of the weights' own, such as
            ``{"separable": True}``; the weights must fit the model that they make.
        allow_unverified: Accept a download whose SHA-256 was never published; the digest is recorded.

    Returns:
        A model from RGB images ``(batch, height, width, 3)`` in 0…255 to float32 logits
        ``(batch, height, width, classes)``.

    Raises:
        InputError: An unknown name or tag, or an impossible argument.
        DownloadError: The weights could not be fetched or verified.
        FormatError: A file that is damaged, refused or not understood.
        MismatchError: Weights that do not fit the model, with the difference.
    """
    spec = registry.resolve(name)
    if isinstance(classes, int) and 2 <= classes <= 65_535:
        classes = labels.numbered(classes)
    if not isinstance(classes, LabelSet | None):
        raise InputError(f"classes must be an integer from 2 to 65535 or a label set, not {classes!r}")
    build = {"input_shape": input_shape}
    if output_stride is not None:
        build["output_stride"] = output_stride
    if auxiliary:
        _check_auxiliary(spec)
        build["auxiliary"] = True
    build.update(_checked_settings(spec, settings or {}))
    if weights == "default":
        weights = spec.default_weights
        if weights is None:
            raise InputError(f"{spec.name} has no published weights; weights=None gives random ones")
    if weights is None:
        model = _build(spec, label_set=_label_set(spec.labels, classes), **build)
        return _remember(model, spec, None)
    path = _as_path(weights)
    if path is None:
        entry = catalog.find(spec.name, str(weights))
        return _from_entry(spec, entry, classes, build, allow_unverified)
    return _from_path(spec, path, classes, build)


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


def _as_path(weights: str | Path) -> Path | None:
    """`weights` as a path when it is one: a Path, or text with a separator or a known suffix."""
    text = str(weights)
    known = (*KERAS_SUFFIXES, *SOURCE_SUFFIXES)
    is_path = isinstance(weights, Path) or "/" in text or "\\" in text or text.endswith(known)
    if not is_path:
        return None
    path = Path(weights).expanduser()
    if not path.is_file():
        raise InputError(f"no such weights file: {path}")
    return path


def _label_set(key: str, classes: LabelSet | None) -> LabelSet:
    """The label set of that name unless the caller wants classes of their own."""
    return labels.resolve(key) if classes is None else classes


def _build(spec: ModelSpec, *, label_set: LabelSet, **settings) -> keras.Model:
    return spec.build()(**{**spec.settings, **settings}, label_set=label_set, name=spec.name)


def _remember(model: keras.Model, spec: ModelSpec, weights: str | None) -> keras.Model:
    """Note where the model came from, for reports."""
    return set_source(model, name=spec.name, weights=weights)


def _from_entry(spec, entry, classes, build, allow_unverified) -> keras.Model:
    """Fetch, convert, build as the entry's settings say, assign."""
    path = fetch(entry, allow_unverified=allow_unverified)
    name_map = name_maps.resolve(entry.name_map)
    # A bundled file is the zoo's own form already: nothing is won by a converted copy.
    sha256 = None if entry.bundled else entry.sha256 or sha256_of(path)
    arrays = convert_file(path, name_map=name_map, sha256=sha256)
    arrays, stated = split_settings(arrays)
    stated.pop("classes", None)  # the entry's labels say more
    key = spec.labels if entry.model == spec.backbone else entry.labels
    classes = None if key == entry.labels and classes == labels.resolve(key) else classes
    model = _build(spec, label_set=_label_set(key, classes), **{**entry.settings, **stated, **build})
    return _give(model, spec, arrays, classes=classes, name_map=name_map, source=entry.tag)


def _give(model, spec, arrays, *, classes, name_map, source) -> keras.Model:
    """Assign strictly, and say in one line what was kept where something was not."""
    variables = {v.path: v for v in model.variables if not _is_seed(v)}
    skip = _one_sided(variables, arrays, name_map)
    ignored = [path for path in skip if path in arrays]
    if ignored:
        named = ", ".join(ignored)
        log.info("%s: ignored %d tensors of %s: %s", spec.name, len(ignored), source, named)
    if classes is not None and name_map.scope == ("",):
        skip += [path for path in {*variables, *arrays} if is_classifier(path)]
    subject = f"weights {source!r} for {spec.name}"
    kept = assign(variables, arrays, subject=subject, scope=name_map.scope, skip=skip)
    fresh = describe_parts([p for p in variables if p not in set(kept)], kept)
    if fresh:
        log.warning("%s: kept %d variables of %s; fresh: %s", spec.name, len(kept), source, fresh)
    return _remember(model, spec, str(source))


def _one_sided(variables, arrays, name_map) -> list[str]:
    """Paths of the map's optional part, where only the file or only the model has that part."""

    def optional(paths) -> set[str]:
        return {p for p in paths if p.split("/")[0] in name_map.optional}

    in_file, in_model = optional(arrays), optional(variables)
    return [] if in_file and in_model else [*sorted(in_file), *sorted(in_model)]


def _is_seed(variable) -> bool:
    """Dropout's generator state: part of the model's variables, in no checkpoint."""
    return "seed_generator" in variable.path


# --- files of the user's own ----------------------------------------------------------------------------


def _from_path(spec: ModelSpec, path: Path, classes: LabelSet | None, build: dict) -> keras.Model:
    if path.name.endswith(".keras"):
        return _from_keras(spec, path, classes, build)
    if path.name.endswith(".weights.h5"):
        return _from_h5(spec, path, classes, build)
    if path.suffix == ".npz":
        return _from_npz(spec, path, classes, build)
    reader = SOURCE_SUFFIXES.get(path.suffix.lower())
    if reader is None:
        known = ", ".join((*KERAS_SUFFIXES, *SOURCE_SUFFIXES))
        raise InputError(f"{path.name}: unknown kind of weights file; allowed: {known}")
    return _from_source(spec, path, reader, classes, build)


def _from_keras(spec, path, classes, build) -> keras.Model:
    """A saved model as it is, or its weights in a model that is built otherwise.

    From a model of another architecture on the same backbone come the backbone's weights.
    """
    saved = read_keras(path)
    if saved.name == spec.name and classes == label_set_of(saved):
        classes = None
    if saved.name == spec.name and build == {"input_shape": (None, None, 3)}:
        model = saved if classes is None else with_classes(saved, classes)
        return _remember(model, spec, path.name)
    arrays = arrays_of(saved)
    if saved.name == spec.name:
        label_set, name_map = label_set_of(saved), ZOO
    elif saved.name in registry.list_models() and registry.resolve(saved.name).backbone == spec.backbone:
        arrays = {p: a for p, a in arrays.items() if p.startswith(ZOO_BACKBONE.scope)}
        label_set, name_map = labels.resolve(spec.labels), ZOO_BACKBONE
    else:
        raise InputError(
            f"{path.name} holds {saved.name!r}, not {spec.name!r} or another model of its backbone"
        )
    model = _build(spec, label_set=label_set if classes is None else classes, **build)
    return _give(model, spec, arrays, classes=classes, name_map=name_map, source=path.name)


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model by the paths of its variables."""
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.variables if not _is_seed(v)}


def _from_npz(spec: ModelSpec, path: Path, classes: LabelSet | None, build: dict) -> keras.Model:
    """A file of ``zoo weights pack``; its settings are the caller's, or the model's own."""
    arrays, stated = split_settings(convert(read_source(path, reader="npz"), ZOO))
    known = [
        labels.resolve(key)
        for key in (spec.labels, *(e.labels for e in spec.weights if e.model == spec.name))
    ]
    count = stated["classes"]
    found = next((s for s in known if len(s) == count), None) or labels.numbered(count)
    classes = None if classes == found else classes
    model = _build(spec, label_set=found if classes is None else classes, **build)
    return _give(model, spec, arrays, classes=classes, name_map=ZOO, source=path.name)


def read_keras(path: Path) -> keras.Model:
    """A zoo model that was saved as a ``.keras`` file; `FormatError` for anything else."""
    importlib.import_module("zoo.serializable")  # what the file refers to by name
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path.name}: not a readable .keras file: {_first_line(error)}") from error


def _from_h5(spec, path, classes, build) -> keras.Model:
    """Variables without a graph: their shapes must fit exactly one of the settings that the zoo knows."""
    shapes, width = _read_h5_shapes(path)
    built = [_build_for_width(spec, width, {**settings, **build}) for settings in _known_settings(spec)]
    fitting = [model for model in built if model and shapes == _shapes(model)]
    if len(fitting) != 1:
        found = "several" if fitting else "none"
        raise MismatchError(
            f"{path.name}: {sum(shapes.values())} variables, {width} channels in the last layer, fit {found} "
            f"of the settings of {spec.name}; a whole model (.keras) brings its settings along"
        )
    model = fitting[0]
    model.load_weights(path)
    model = model if classes is None else with_classes(model, classes)
    return _remember(model, spec, path.name)


def _build_for_width(spec: ModelSpec, width: int, settings: dict) -> keras.Model | None:
    """The model whose last classifier has `width` channels, or `None` where no class count gives them."""
    label_set = labels.resolve(spec.labels)
    model = _build(spec, label_set=label_set, **settings)
    last = [layer for layer in model.layers if is_classifier(layer.name)][-1]
    classes, rest = divmod(width * len(label_set), last.filters)
    if rest or classes < 2:
        return None
    if classes == len(label_set):
        return model
    return _build(spec, label_set=labels.numbered(classes), **settings)


def _shapes(model: keras.Model) -> Counter:
    return Counter(tuple(v.shape) for v in model.variables if not _is_seed(v))


def _known_settings(spec: ModelSpec) -> list[dict]:
    """Distinct builder settings: the model's own, and those of the weights that there are for it."""
    defaults = {name: p.default for name, p in inspect.signature(spec.build()).parameters.items()}
    known = {}
    for settings in (spec.settings, *(entry.settings for entry in spec.weights)):
        known.setdefault(repr({**defaults, **spec.settings, **settings}), dict(settings))
    return list(known.values())


def _read_h5_shapes(path: Path) -> tuple[Counter, int]:
    """Shapes of all layers' variables, and the channels of the last convolution with a bias, a classifier."""
    shapes, last = Counter(), (-1, 0)
    try:
        with h5py.File(path, "r") as file:
            for name, group in file["layers"].items():
                found = [v.shape for v in group.get("vars", {}).values()]
                shapes.update(found)
                if [len(shape) for shape in found] == [4, 1] and "depthwise" not in name:
                    number = name.rpartition("_")[2]
                    last = max(last, (int(number) if number.isdigit() else 0, found[1][0]))
    except (OSError, KeyError, AttributeError) as error:
        raise FormatError(f"{path.name}: not a readable .weights.h5 file: {_first_line(error)}") from error
    if last[0] < 0:
        raise FormatError(f"{path.name}: holds no classifier, so it is no zoo model's weights")
    return shapes, last[1]


def _from_source(spec, path, reader, classes, build) -> keras.Model:
    """A checkpoint in a publisher's format: the first of the known conversions that fits it."""
    failures = []
    for entry in spec.weights:
        name_map = name_maps.resolve(entry.name_map)
        if name_map.reader != reader:
            continue
        try:
            # Read again for each conversion: while the model is built, the file's own tensors are gone.
            arrays, stated = split_settings(convert(read_source(path, reader=reader), name_map))
            bias = arrays.get(f"{CLASSIFIER}/bias")
            found = stated.pop("classes", None if bias is None else len(bias))
            label_set = _labels_for(entry, spec, found, classes)
            model = _build(spec, label_set=label_set, **{**entry.settings, **stated, **build})
            return _give(model, spec, arrays, classes=classes, name_map=name_map, source=path.name)
        except MismatchError as error:
            failures.append(str(error))
    if not failures:
        raise InputError(f"{path.name}: {spec.name} has no conversion from {path.suffix} files")
    raise MismatchError(f"{path.name}: {failures[0]}")


def _labels_for(entry, spec, found, classes) -> LabelSet:
    """Labels of a user's checkpoint: the entry's when the count in the file is the same."""
    if classes is not None:
        return classes
    if found is None:
        return labels.resolve(spec.labels)
    known = labels.resolve(entry.labels)
    return known if len(known) == found else labels.numbered(found)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
