"""A functional Keras 3 model, rebuilt in tf_keras layer by layer, and trained weights carried back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.compression.requirements import require
from zoo.compression.standard import standard_frameworks
from zoo.errors import InputError
from zoo.graph import Call, calls, is_functional
from zoo.layers import (
    AdaptiveAveragePooling2D,
    BilinearUpsampling2D,
    BroadcastLike,
    DepthToSpace,
    DilatedConv2D,
    DilatedDepthwiseConv2D,
    Enlarge,
    FusedBatchNormalization,
    HardSigmoid,
    HardSwish,
    JoinTiles,
    PadToMultiple,
    ReflectionPadding2D,
)
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import Resize, SegmentationLogits

# From a Keras 3 layer to the tf_keras layer that computes the same.
Translate = Callable[[keras.layers.Layer], object]
# From a tf_keras layer and the Keras 3 layer it stands for to the layer that is called: itself or a wrapper.
Wrap = Callable[[object, keras.layers.Layer], object]

# Layers without weights whose `call` is plain TensorFlow: the same code runs under tf_keras.
_OPERATIONS = (
    AdaptiveAveragePooling2D,
    BilinearUpsampling2D,
    BroadcastLike,
    DepthToSpace,
    Enlarge,
    HardSigmoid,
    HardSwish,
    JoinTiles,
    Normalize,
    PadToMultiple,
    ReflectionPadding2D,
    Resize,
    SegmentationLogits,
)
# Layers that tf_keras has under the same name, with the settings that both know.
_NAMESAKES = {
    "Activation": ("activation",),
    "Add": (),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "Concatenate": ("axis",),
    "Dropout": ("rate",),
    "GlobalAveragePooling2D": ("keepdims",),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "Multiply": (),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "ZeroPadding2D": ("padding",),
}


@dataclass(frozen=True)
class Bridge:
    """A model of both worlds.

    Attributes:
        model: The Keras 3 model.
        network: The tf_keras model that computes the same.
        pairs: Each variable of `model` with the one of `network` that stands for it, which may have another
            shape with as many values.
        layers: The tf_keras layers as they are called, by the names of the Keras layers they stand for.
    """

    model: keras.Model
    network: object
    pairs: tuple[tuple[keras.Variable, tf.Variable], ...]
    layers: dict[str, object]

    def to_tf_keras(self) -> None:
        """Give `network` the weights of `model`."""
        for source, target in self.pairs:
            target.assign(tf.reshape(tf.convert_to_tensor(source.value), target.shape))

    def to_keras(self) -> keras.Model:
        """Give `model` the weights of `network`; the model itself."""
        for target, source in self.pairs:
            target.assign(tf.reshape(source, target.shape))
        return self.model


@standard_frameworks()
def to_tf_keras(
    model: keras.Model, *, wrap: Wrap | None = None, translate: dict[type, Translate] | None = None
) -> Bridge:
    """Rebuild a functional Keras 3 model as a functional tf_keras model with the same weights.

    Dilated convolutions run natively on both sides.

    Args:
        model: A functional model of layers that have a translation.
        wrap: Called with each new tf_keras layer and the Keras 3 layer it stands for; gives the layer that is
            put into the network, such as one of TensorFlow Model Optimization's wrappers. The weights are
            there by then.
        translate: Translations for this call, which come before the registered ones.

    Raises:
        InputError: A model that is no functional graph, a layer without translation (names it), or missing
            packages.
    """
    tf_keras = require("tf_keras")
    if not isinstance(model, keras.Model) or not is_functional(model):
        raise InputError(f"only a functional keras.Model can be rebuilt in tf_keras, not {model!r}")
    build = _Rebuild(model, wrap, {**_translations(), **(translate or {})})
    outputs = keras.tree.map_structure(lambda tensor: build.tensors[id(tensor)], model.output)
    inputs = [build.tensors[id(tensor)] for tensor in model.inputs]
    network = tf_keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs, name=model.name)
    return Bridge(model, network, tuple(build.pairs), build.layers)


class _Rebuild:
    """The tensors and layers of a network in the making."""

    def __init__(self, model: keras.Model, wrap: Wrap | None, translations: dict[type, Translate]):
        self.wrap, self.translations = wrap, translations
        self.tensors: dict[int, object] = {}
        self.pairs: list[tuple[keras.Variable, tf.Variable]] = []
        self.layers: dict[str, object] = {}
        for call in calls(model):
            self._add(call)

    def _add(self, call: Call) -> None:
        if call.is_input:
            tensor = call.outputs[0]
            made = require("tf_keras").Input(tensor.shape[1:], name=call.operation.name, dtype=tensor.dtype)
            self.tensors[id(tensor)] = made
            return
        args, kwargs = call.arguments(self.tensors)
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        results = self._layer(call)(*args, **kwargs)
        for tensor, result in zip(call.outputs, tf.nest.flatten(results), strict=True):
            self.tensors[id(tensor)] = result

    def _layer(self, call: Call):
        original = call.operation
        if original.name not in self.layers:
            made = self._translated(original)
            made.trainable = original.trainable
            if original.weights:
                self._take_weights(made, original, call.inputs[0].shape)
            self.layers[original.name] = made if self.wrap is None else self.wrap(made, original)
        return self.layers[original.name]

    def _translated(self, layer):
        function = next((self.translations[k] for k in type(layer).__mro__ if k in self.translations), None)
        if function is None:
            kind = type(layer).__name__
            raise InputError(
                f"layer {layer.name!r} is a {kind}, which has no translation to tf_keras; give it one with "
                f"zoo.compression.register_translation({kind}, function)"
            )
        return function(layer)

    def _take_weights(self, made, original, shape) -> None:
        """Before it is wrapped: clustering, for one, begins with the weights that it finds."""
        if not made.built:
            made.build(tf.TensorShape(shape))
        targets = getattr(made, "carried", made.weights)
        found, wanted = ([tuple(v.shape) for v in side] for side in (targets, original.weights))
        if [math.prod(shape) for shape in found] != [math.prod(shape) for shape in wanted]:
            raise InputError(
                f"the translation of layer {original.name!r} has variables {found}, the layer itself {wanted}"
            )
        for source, target in zip(original.weights, targets, strict=True):
            target.assign(tf.reshape(tf.convert_to_tensor(source.value), target.shape))
            self.pairs.append((source, target))


# --- translations -----------------------------------------------------------------------------------------

_REGISTERED: dict[type, Translate] = {}


def register_translation(kind: type, function: Translate) -> None:
    """Teach the bridge a layer.

    Args:
        kind: Class of a Keras 3 layer; subclasses without a translation of their own use this one.
        function: Called with a layer of that class; gives a new tf_keras layer of the same name that computes
            the same. Its weights are those of the Keras layer in the same order (or its attribute ``carried``
            lists them).

    Raises:
        InputError: Not a Keras 3 layer class, or not a function.
    """
    if not (isinstance(kind, type) and issubclass(kind, keras.layers.Layer)):
        raise InputError(f"a translation is for a class of Keras 3 layers, not {kind!r}")
    if not callable(function):
        raise InputError(f"a translation is a function from layer to layer, not {function!r}")
    _REGISTERED[kind] = function


def _translations() -> dict[type, Translate]:
    """All known translations; those of the user come first where both know a class."""
    known = dict.fromkeys(_OPERATIONS, _operation)
    known |= {getattr(keras.layers, name): _namesake for name in _NAMESAKES}
    known |= {DilatedConv2D: _conv2d, DilatedDepthwiseConv2D: _depthwise}
    known |= {FusedBatchNormalization: _batch_norm, keras.layers.BatchNormalization: _batch_norm}
    return {**known, **_REGISTERED}


def _operation(layer):
    from zoo.compression.tf_layers import Operation

    return Operation(type(layer).from_config(layer.get_config()), name=layer.name)


def _namesake(layer):
    name = type(layer).__name__
    if name not in _NAMESAKES:
        raise InputError(f"layer {layer.name!r} is a {name}: a subclass needs a translation of its own")
    config = layer.get_config()
    if config.get("data_format", "channels_last") != "channels_last":
        raise InputError(f"layer {layer.name!r} has its channels first; only channels last can be rebuilt")
    settings = {key: config[key] for key in _NAMESAKES[name]}
    return getattr(require("tf_keras").layers, name)(name=layer.name, **settings)


_CONVOLUTION = ("kernel_size", "strides", "rate", "padding", "use_bias", "kernel_regularizer")


def _conv2d(layer):
    return conv2d(layer)


def conv2d(layer: DilatedConv2D, *, flat: bool = False):
    """The tf_keras layer for a `DilatedConv2D`; `flat` stores its kernel as a matrix."""
    from zoo.compression.tf_layers import Conv2D

    settings = {name: getattr(layer, name) for name in _CONVOLUTION}
    return Conv2D(layer.filters, flat=flat, name=layer.name, **settings)


def _depthwise(layer):
    from zoo.compression.tf_layers import DepthwiseConv2D

    return DepthwiseConv2D(name=layer.name, **{name: getattr(layer, name) for name in _CONVOLUTION})


def _batch_norm(layer):
    from zoo.compression.tf_layers import BatchNormalization

    if layer.axis not in (-1, 3):
        raise InputError(f"layer {layer.name!r} normalizes axis {layer.axis}; only the last can be rebuilt")
    settings = {name: getattr(layer, name) for name in ("momentum", "epsilon", "center", "scale")}
    return BatchNormalization(name=layer.name, **settings)
