"""Changes of a built model: a classifier for other classes, or no auxiliary output."""

from __future__ import annotations

import logging

import keras

from zoo import graph
from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.resize import SegmentationLogits, label_set_of, logits_layer_of
from zoo.models.heads.classifier import CLASSIFIER, LOGITS, is_classifier
from zoo.models.segmentation_model import SegmentationModel

log = logging.getLogger("zoo")


def without_auxiliary(model: keras.Model) -> keras.Model:
    """The model with its logits as the only output; layers are shared. A model with one output is itself."""
    if len(model.outputs) == 1:
        return model
    return SegmentationModel(model.input, model.get_layer(LOGITS).output, name=model.name)


def with_classes(model: keras.Model, label_set: LabelSet) -> keras.Model:
    """The same features under fresh classifiers for `label_set`; all layers before them are shared.

    The classifiers, and what follows them, are made anew from their configurations, so that every head, with
    one classifier or several, keeps its form.

    Raises:
        InputError: A model that is not functional, or whose classifiers cannot be found.
    """
    old = label_set_of(model)
    if not any(is_classifier(layer.name) for layer in model.layers):
        raise InputError(f"model {model.name!r} has no layer named {CLASSIFIER!r}")
    made, renewed = {}, set()
    for call in graph.calls(model):
        layer, given = call.operation, [id(tensor) for tensor in call.inputs]
        if call.is_input or not (is_classifier(layer.name) or any(key in made for key in given)):
            continue
        renewed.add(layer.name)
        args, kwargs = call.arguments({id(t): made.get(id(t), t) for t in call.inputs})
        result = _for_classes(layer, old, label_set)(*args, **kwargs)
        made.update(zip(map(id, call.outputs), keras.tree.flatten(result), strict=True))
    outputs = keras.tree.map_structure(lambda tensor: made.get(id(tensor), tensor), model.output)
    fresh = [v.path for v in model.variables if v.path.split("/")[0] in renewed]
    kept = [v.path for v in model.variables if v.path.split("/")[0] not in renewed]
    log.warning("%s: kept %d variables; fresh: %s", model.name, len(kept), describe_parts(fresh, kept))
    return SegmentationModel(model.input, outputs, name=model.name)


def renamed(model: keras.Model, label_set: LabelSet) -> keras.Model:
    """The same model, whose classes are called otherwise; gives the model itself.

    Raises:
        InputError: Another number of classes.
    """
    layer = logits_layer_of(model)
    if len(layer.label_set) != len(label_set):
        raise InputError(f"{len(label_set)} names for the {len(layer.label_set)} classes of {model.name!r}")
    layer.label_set = label_set
    return model


def _for_classes(layer, old: LabelSet, new: LabelSet):
    """A new layer like `layer`, with the channels or the labels of other classes where it depends on them."""
    config = layer.get_config()
    if isinstance(layer, SegmentationLogits):
        config["label_set"] = new.to_config()
    elif is_classifier(layer.name) and "filters" in config:
        config["filters"] = config["filters"] // len(old) * len(new)
        initializer = config["kernel_initializer"]["config"]
        if "classes" in initializer:
            initializer["classes"] = len(new)
    return type(layer).from_config(config)


def describe_parts(fresh: list[str], kept: list[str]) -> str:
    """What is fresh, by the first word of the layers' names, or the layer's where only some of it is."""
    partly = {p.split("/")[0].split(".")[0] for p in kept}
    layers = [p.split("/")[0] for p in fresh]
    return ", ".join(dict.fromkeys(n if n.split(".")[0] in partly else n.split(".")[0] for n in layers))
