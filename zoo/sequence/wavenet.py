"""WaveNet: gated causal convolutions over coded sound (van den Oord, Dieleman, Zen et al. 2016).

The network of section 2: codes through a first convolution, then layers of dilated causal convolutions with
gated units (equation 2), residual and skip connections (figure 4), global and local conditioning (section
2.5), and a head of two 1×1 convolutions. Published implementations differ in how they scale what they add;
each is a `Convention`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, standard_globals
from zoo.sequence.convolution import DilatedConv1D
from zoo.sequence.gated_activation import GatedActivation
from zoo.sequence.gating import Activation
from zoo.sequence.streaming import Blocks, Padded, Past

_TANH, _SIGMOID = Activation("Tanh").plain, Activation("Sigmoid").plain
OUTPUT = "logits"


@dataclass(frozen=True)
class Convention:
    """How an implementation scales its sums.

    Attributes:
        residual: Factor of a layer's input plus its output.
        skip: Factor of the running sum of skips, after each addition to it.
    """

    residual: float = 1.0
    skip: float = 1.0


CONVENTIONS: Mapping[str, Convention] = {
    # The paper, tensorflow-wavenet, nv-wavenet and NSynth: plain sums.
    "paper": Convention(),
    # r9y9/wavenet_vocoder with legacy=True, its default up to 0.1.1.
    "vocoder": Convention(residual=math.sqrt(0.5), skip=math.sqrt(0.5)),
    # The same with legacy=False.
    "vocoder_plain_skips": Convention(residual=math.sqrt(0.5)),
}


@dataclass(frozen=True, kw_only=True)
class WaveNetConfig:
    """What a WaveNet consists of.

    Attributes:
        classes: Codes, in and out.
        layers: Of all stacks together.
        stacks: How often the rates begin at 1 again; each doubles them from layer to layer.
        kernel: Taps.
        residual: Channels between layers.
        gate: Channels of the gated unit, both halves together.
        skip: Channels of the skip connections.
        ids: How many values each global condition has, such as ``(10, 6)`` for digit and speaker.
        embedding: Channels of the global conditions' sum.
        local: Channels of the local condition, which comes at the rate of the samples; 0 for none.
        convention: Of `CONVENTIONS`.
    """

    classes: int = 256
    layers: int = 20
    stacks: int = 2
    kernel: int = 2
    residual: int = 32
    gate: int = 64
    skip: int = 64
    ids: tuple[int, ...] = ()
    embedding: int = 16
    local: int = 0
    convention: str = "paper"

    def __post_init__(self):
        """Refuses what is no network, with `InputError`."""
        object.__setattr__(self, "ids", tuple(self.ids))
        sizes = {name: getattr(self, name) for name in ("layers", "stacks", "kernel", "residual", "skip")}
        sizes |= {f"ids[{i}]": n for i, n in enumerate(self.ids)} | {"embedding": self.embedding}
        for name, value in sizes.items():
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                raise InputError(f"{name} must be a whole number from 1 to 4096, not {value!r}")
        if self.layers % self.stacks or self.layers // self.stacks > 16:
            raise InputError(f"{self.layers} layers are no {self.stacks} equal stacks of at most 16")
        if not isinstance(self.gate, int) or self.gate < 2 or self.gate % 2:
            raise InputError(f"gate counts both halves, an even number from 2, not {self.gate!r}")
        if not 2 <= self.classes <= 65_536 or not 0 <= self.local <= 4096:
            raise InputError(f"classes are 2 to 65536 and local 0 to 4096, not {self.classes}, {self.local}")
        if self.convention not in CONVENTIONS:
            raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}, not {self.convention!r}")

    @property
    def rates(self) -> tuple[int, ...]:
        """Of each layer."""
        return tuple(2 ** (i % (self.layers // self.stacks)) for i in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Codes that one prediction depends on."""
        return 1 + (self.kernel - 1) * sum(self.rates)

    @property
    def state(self) -> int:
        """Floats that the layers keep from block to block."""
        return (self.kernel - 1) * sum(self.rates) * self.residual


@keras.saving.register_keras_serializable(PACKAGE)
class CodeConv(keras.layers.Layer):
    """A 1×1 convolution of one-hot codes, by look-up: ``(batch, n)`` → ``(batch, n, filters)``.

    Args:
        classes: Codes there are.
        filters: Channels of the result.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, classes: int, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.filters = classes, filters

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(self.classes, self.filters), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, codes):
        return tf.gather(tf.convert_to_tensor(self.kernel), tf.cast(codes, tf.int32)) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.filters)

    def compute_output_spec(self, codes):
        return keras.KerasTensor((*codes.shape, self.filters), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes, "filters": self.filters}


@keras.saving.register_keras_serializable(PACKAGE)
class WaveNetLogits(DilatedConv1D):
    """The last 1×1 convolution, which carries the whole network's configuration.

    Args:
        network: `WaveNetConfig` as plain values.
        **kwargs: Those of `DilatedConv1D`.
    """

    task = "sound by codes"

    def __init__(self, filters: int, *, network, **kwargs):
        super().__init__(filters, **kwargs)
        self.network = network

    def get_config(self):
        return {**super().get_config(), "network": self.network}


def build_wavenet(config: WaveNetConfig, *, name: str = "wavenet") -> keras.Model:
    """The whole network with fresh weights.

    Args:
        config: What it consists of.
        name: Of the Keras model.

    Returns:
        A model of ``codes`` (batch, samples) integers, and where the configuration has them ``ids``
        (batch, conditions) integers and ``local`` (batch, samples, channels), as a dictionary; to float32
        logits ``(batch, samples, classes)`` of the code that follows each.
    """
    with standard_globals():
        inputs = _inputs(config, samples=None, batch=None)
        output = _network(inputs, config, _fresh, Padded())
        return keras.Model(inputs, output, name=name)


def in_blocks(model: keras.Model, *, block: int | None = None, batch: int | None = 1) -> keras.Model:
    """The same network for blocks of codes, with its state as a further input and output.

    Args:
        model: What `build_wavenet` built. The variables are shared with it.
        block: Codes in a block; `None` for any number.
        batch: Streams that are processed at once.

    Returns:
        A model of the inputs of the whole one and ``state`` (batch, floats), zeros at first, to
        ``[logits, state]``.
    """
    config = config_of(model)
    with standard_globals():
        inputs = _inputs(config, samples=block, batch=batch)
        state = keras.Input((config.state,), batch_size=batch, name="state")
        past = Blocks(state)
        output = _network(inputs, config, lambda name, *_, **__: model.get_layer(name), past)
        return keras.Model(
            {**inputs, "state": state}, [output, past.next_state()], name=f"{model.name}_blocks"
        )


def config_of(model: keras.Model) -> WaveNetConfig:
    """The configuration of what `build_wavenet` built, or of its saved file; `InputError` of others."""
    last = model.layers[-1] if getattr(model, "layers", None) else None
    if not isinstance(last, WaveNetLogits):
        raise InputError(f"{getattr(model, 'name', model)!r} is no WaveNet of codes")
    return WaveNetConfig(**last.network)


def _inputs(config: WaveNetConfig, *, samples: int | None, batch: int | None) -> dict:
    inputs = {"codes": keras.Input((samples,), batch_size=batch, dtype="int32", name="codes")}
    if config.ids:
        inputs["ids"] = keras.Input((len(config.ids),), batch_size=batch, dtype="int32", name="ids")
    if config.local:
        inputs["local"] = keras.Input((samples, config.local), batch_size=batch, name="local")
    return inputs


def _fresh(name: str, kind: type, /, **words):
    return kind(**words, name=name)


def _network(inputs: Mapping, config: WaveNetConfig, make: Callable, past: Past):
    scales = CONVENTIONS[config.convention]
    x = make("first", CodeConv, classes=config.classes, filters=config.residual)(inputs["codes"])
    condition = _global(inputs, config, make)
    skips = None
    for index, rate in enumerate(config.rates):
        name = f"layer{index}"
        z = _gated(x, inputs, condition, config, rate, make, past, name)
        skip = make(f"{name}_skip", DilatedConv1D, filters=config.skip, kernel_size=1)(z)
        skips = (
            skip
            if skips is None
            else _scaled(_sum(skips, skip, f"{name}_skips"), scales.skip, f"{name}_skips")
        )
        if index + 1 < config.layers:
            out = make(f"{name}_out", DilatedConv1D, filters=config.residual, kernel_size=1)(z)
            x = _scaled(_sum(x, out, f"{name}_sum"), scales.residual, f"{name}_sum")
    x = keras.layers.ReLU(name="head_relu1")(skips)
    x = make("head_conv", DilatedConv1D, filters=config.skip, kernel_size=1)(x)
    x = keras.layers.ReLU(name="head_relu2")(x)
    network = dataclasses.asdict(config)
    return make(OUTPUT, WaveNetLogits, filters=config.classes, kernel_size=1, network=network)(x)


def _gated(x, inputs, condition, config: WaveNetConfig, rate: int, make: Callable, past: Past, name: str):
    """The gated unit of a layer (equation 2), conditioned (section 2.5)."""
    words = {"filters": config.gate, "kernel_size": config.kernel, "rate": rate, "padding": "valid"}
    padded = past.before(x, (config.kernel - 1) * rate, name=name)
    z = make(f"{name}_conv", DilatedConv1D, **words)(padded)
    if config.local:
        local = make(f"{name}_local", DilatedConv1D, filters=config.gate, kernel_size=1)(inputs["local"])
        z = _sum(z, local, f"{name}_with_local")
    if condition is not None:
        everywhere = make(f"{name}_global", DilatedConv1D, filters=config.gate, kernel_size=1)(condition)
        z = _sum(z, everywhere, f"{name}_with_global")
    return GatedActivation(activation=_TANH, gate=_SIGMOID, name=f"{name}_unit")(z)


def _global(inputs: Mapping, config: WaveNetConfig, make: Callable):
    """The sum of the global conditions' embeddings, ``(batch, 1, channels)``."""
    if not config.ids:
        return None
    parts = []
    for index, count in enumerate(config.ids):
        table = make(f"id{index}", keras.layers.Embedding, input_dim=count, output_dim=config.embedding)
        parts.append(table(inputs["ids"][:, index : index + 1]))
    return parts[0] if len(parts) == 1 else keras.layers.Add(name="condition")(parts)


def _sum(a, b, name: str):
    return keras.layers.Add(name=name)([a, b])


def _scaled(x, factor: float, name: str):
    return x if factor == 1 else keras.layers.Rescaling(factor, name=f"{name}_scaled")(x)


def state_of(config: WaveNetConfig, batch: int = 1) -> np.ndarray:
    """The state before the first code, ``(batch, floats)`` float32."""
    return np.zeros((batch, config.state), np.float32)
