"""Files are made of float32 numbers, in whatever precision a model was trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from zoo import graph
from zoo.errors import InputError

_FLOAT32 = "float32"


def in_float32(model: keras.Model) -> keras.Model:
    """The model with its variables in float32 and layers that compute in it; itself where that is so already.

    Raises:
        InputError: A model that cannot be built anew, or one whose layers were quantized by Keras.
    """
    quantized = [x.name for x in _layers_of(model) if getattr(x.dtype_policy, "quantization_mode", None)]
    if quantized:
        raise InputError(f"layer {quantized[0]!r} was quantized by Keras; export the model as it was before")
    if all(map(_is_float32, _layers_of(model))):
        return model
    try:
        image = keras.Input(model.inputs[0].shape[1:], dtype=_FLOAT32, name=model.inputs[0].name)
        inputs = keras.tree.map_structure(lambda _: image, model.input)
        copy = keras.models.clone_model(model, input_tensors=inputs, clone_function=_float32_layer)
        copy.set_weights([np.asarray(keras.ops.cast(w, _FLOAT32)) for w in model.weights])
    except (ValueError, TypeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"model {model.name!r} cannot be built anew in float32: {reason}") from error
    copy.name = model.name
    return copy


@contextlib.contextmanager
def float32_defaults() -> Iterator[None]:
    """Build layers in float32, whatever Keras' default policy is by now."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_FLOAT32)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    return [x for x in graph.parts_of(model) if not isinstance(x, keras.layers.InputLayer)]


def _is_float32(layer: keras.layers.Layer) -> bool:
    policy = layer.dtype_policy
    return policy.compute_dtype == policy.variable_dtype == _FLOAT32


def _float32_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(_stated(layer.get_config()))


def _stated(config):
    """Settings of a layer, and of those within it, with float32 for every policy."""
    if isinstance(config, dict):
        return {k: _FLOAT32 if k == "dtype" and v is not None else _stated(v) for k, v in config.items()}
    return [_stated(item) for item in config] if isinstance(config, list) else config
