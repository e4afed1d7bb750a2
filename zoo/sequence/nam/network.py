"""The WaveNet of Neural Amp Modeler as a Keras model, whole and block by block.

Source: sdatkinson/neural-amp-modeler 0.13.0, ``models/wavenet``. Its network is a stack of layer arrays whose
convolutions are valid: the input is preceded by as much silence as the receptive field reaches back, so that
what layers remember at the start is their response to silence, not zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, standard_globals
from zoo.sequence.convolution import DilatedConv1D
from zoo.sequence.gated_activation import GatedActivation
from zoo.sequence.gating import Activation
from zoo.sequence.nam.config import ArrayConfig, LayerConfig, NetworkConfig
from zoo.sequence.nam.reader import NamModel
from zoo.sequence.streaming import Blocks, Past, SilenceBefore, Whole

OUTPUT = "output"
Convolution = Callable[..., DilatedConv1D]


@keras.saving.register_keras_serializable(PACKAGE)
class Scaled(keras.layers.Layer):
    """The samples times a number.

    Args:
        factor: The number.
        network: Of the model's last layer: the whole network as plain values.
        sample_rate: Of the model's last layer: samples per second.
        metadata: Of the model's last layer: what the file says of the amplifier.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, factor: float, network=None, sample_rate=None, metadata=None, **kwargs):
        super().__init__(**kwargs)
        self.factor = float(factor)
        self.network, self.sample_rate, self.metadata = network, sample_rate, dict(metadata or {})

    @property
    def task(self) -> str | None:
        """What the model does whose last layer this is."""
        return None if self.network is None else "amplifier"

    def call(self, x):
        return x * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        said = {"network": self.network, "sample_rate": self.sample_rate, "metadata": self.metadata}
        return {**super().get_config(), "factor": self.factor, **said}


def amplifier(model: NamModel, *, name: str = "wavenet_nam") -> keras.Model:
    """The whole network with its weights.

    Args:
        model: What `read_nam` gave.
        name: Of the Keras model.

    Returns:
        A model from ``(batch, samples, 1)``, sound in −1…1 at the file's sample rate, to as many samples.
    """
    config = model.network
    with standard_globals():
        samples = keras.Input((None, 1), name="samples")
        scales = _scales(model)
        padded = SilenceBefore(samples=config.receptive_field - 1, name="silence")(samples)
        output = _network(padded, config, _fresh, Whole(), scales)
        found = keras.Model(samples, output, name=name)
    _assign(found, model.arrays)
    return found


def _scales(model: NamModel) -> Mapping[str, Callable[[], Scaled]]:
    """Makers of the layers that scale: of the network, and of its condition's."""
    own = {
        "network": dataclasses.asdict(model.network),
        "sample_rate": model.sample_rate,
        "metadata": model.metadata,
    }
    scales = {OUTPUT: lambda: Scaled(factor=model.arrays["head_scale"], **own, name=OUTPUT)}
    inner = model.arrays.get("condition/head_scale")
    name = _layer_name(f"condition/{OUTPUT}")
    return scales | {f"condition/{OUTPUT}": lambda: Scaled(factor=inner, name=name)}


def in_blocks(model: keras.Model, *, block: int | None = None, batch: int | None = 1) -> keras.Model:
    """The same network for blocks of samples, with its state as a further input and output.

    Args:
        model: What `amplifier` gave. The variables are shared with it.
        block: Samples in a block; `None` for any number.
        batch: Streams that are processed at once.

    Returns:
        A model from ``[(batch, block, 1), (batch, floats)]`` to the same two. The first state is that of
        `initial_state`.
    """
    config = network_of(model)
    with standard_globals():
        samples = keras.Input((block, 1), batch_size=batch, name="samples")
        state = keras.Input((config.state,), batch_size=batch, name="state")
        past = Blocks(state)
        scales = {OUTPUT: lambda: model.get_layer(OUTPUT)}
        inner = _layer_name(f"condition/{OUTPUT}")
        scales[f"condition/{OUTPUT}"] = lambda: model.get_layer(inner)

        def same(name: str, **_) -> DilatedConv1D:
            return model.get_layer(_layer_name(name))

        output = _network(samples, config, same, past, scales)
        assert past.floats == config.state
        return keras.Model([samples, state], [output, past.next_state()], name=f"{model.name}_blocks")


def initial_state(model: keras.Model) -> np.ndarray:
    """The state after endless silence, ``(1, floats)`` float32."""
    config = network_of(model)
    blocks = in_blocks(model)
    silence = np.zeros((1, config.receptive_field, 1), np.float32)
    return np.asarray(blocks([silence, np.zeros((1, config.state), np.float32)])[1])


def network_of(model: keras.Model) -> NetworkConfig:
    """The configuration of a model that `amplifier` built, also of a saved and loaded one.

    Raises:
        InputError: Any other model.
    """
    last = model.layers[-1] if getattr(model, "layers", None) else None
    if not isinstance(last, Scaled) or last.network is None:
        raise InputError(f"{getattr(model, 'name', model)!r} is no amplifier model of Neural Amp Modeler")
    return _restored(last.network)


def sample_rate_of(model: keras.Model) -> float:
    """Samples per second of a model that `amplifier` built; errors as for `network_of`."""
    network_of(model)
    return model.layers[-1].sample_rate


def _restored(values: Mapping) -> NetworkConfig:
    """The inverse of `dataclasses.asdict`, whose tuples JSON may have made lists."""

    def function(found):
        return None if found is None else Activation(**found)

    def layer(found) -> LayerConfig:
        own = {**found, "activation": function(found["activation"]), "gate": function(found["gate"])}
        return LayerConfig(**own)

    arrays = tuple(
        ArrayConfig(**{**found, "layers": tuple(map(layer, found["layers"]))}) for found in values["arrays"]
    )
    condition = values["condition"]
    return NetworkConfig(arrays=arrays, condition=None if condition is None else _restored(condition))


def _fresh(name: str, *, filters: int, kernel_size: int = 1, rate: int = 1, use_bias: bool) -> DilatedConv1D:
    return DilatedConv1D(
        filters,
        kernel_size=kernel_size,
        rate=rate,
        padding="valid",
        use_bias=use_bias,
        name=_layer_name(name),
    )


def _layer_name(name: str) -> str:
    return name.replace("/", "_")


def _network(x, config: NetworkConfig, make: Convolution, past: Past, scales: Mapping, scope: str = ""):
    condition = x
    if config.condition is not None:
        condition = _network(x, config.condition, make, past, scales, scope="condition/")
        # Where the condition's own field ends, so do the samples that can be used.
        x = past.last_of(x, condition, name=_layer_name(f"{scope}samples"))
    head = None
    for index, array in enumerate(config.arrays):
        is_last = index + 1 == len(config.arrays)
        x, head = _array(x, condition, head, array, make, past, f"{scope}array{index}", is_last=is_last)
    return scales[f"{scope}{OUTPUT}"]()(head)


def _array(
    x, condition, head, array: ArrayConfig, make: Convolution, past: Past, scope: str, *, is_last: bool
):
    """One layer array: what goes on, and the head's result."""
    x = make(f"{scope}/rechannel", filters=array.channels, use_bias=False)(x)
    for index, layer in enumerate(array.layers):
        name = f"{scope}/layer{index}"
        z = _activated(x, condition, layer, array.channels, make, past, name)
        head = (
            z
            if head is None
            else _sum(past.last_of(head, z, name=_layer_name(f"{name}/head")), z, f"{name}/skip")
        )
        if is_last and index + 1 == len(array.layers):
            break  # what follows would feed nothing
        out = make(f"{name}/out", filters=array.channels, use_bias=True)(z)
        x = _sum(past.last_of(x, z, name=_layer_name(f"{name}/residual")), out, f"{name}/sum")
    name = f"{scope}/head"
    padded = past.before(head, array.head_kernel - 1, name=_layer_name(name))
    conv = make(name, filters=array.head_channels, kernel_size=array.head_kernel, use_bias=array.head_bias)
    head = conv(padded)
    return past.last_of(x, head, name=_layer_name(f"{scope}/residual")), head


def _activated(x, condition, layer: LayerConfig, channels: int, make: Convolution, past: Past, name: str):
    """The dilated convolution and the condition, through the activation."""
    wide = channels * (1 if layer.gate is None else 2)
    conv = make(f"{name}/conv", filters=wide, kernel_size=layer.kernel, rate=layer.rate, use_bias=True)
    z = conv(past.before(x, layer.span, name=_layer_name(name)))
    mixer = make(f"{name}/mixer", filters=wide, use_bias=False)
    z = _sum(z, mixer(past.last_of(condition, z, name=_layer_name(f"{name}/condition"))), f"{name}/mixed")
    gate = None if layer.gate is None else layer.gate.plain
    chosen = {"activation": layer.activation.plain, "gate": gate}
    return GatedActivation(**chosen, name=_layer_name(f"{name}/activation"))(z)


def _sum(a, b, name: str):
    return keras.layers.Add(name=_layer_name(name))([a, b])


def _assign(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Every variable from the tensor of its name; kernels come as (out, in, taps)."""
    for layer in model.layers:
        for variable in layer.weights:
            array = arrays[f"{_tensor_scope(layer.name)}/{variable.name}"]
            variable.assign(array.transpose(2, 1, 0) if variable.name == "kernel" else array)


def _tensor_scope(layer_name: str) -> str:
    return layer_name.replace("_", "/")
