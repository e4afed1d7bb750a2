"""The residual blocks of ByteNet (Kalchbrenner et al. 2016, section 3.6 and figure 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE
from zoo.sequence.convolution import DilatedConv1D
from zoo.sequence.streaming import Past

# That of PyTorch, in which the published weights were trained; Keras' own is 1e-3.
EPSILON = 1e-5
ACTIVATIONS = ("relu", "gelu")
UNITS = ("activation", "multiplicative")


@dataclass(frozen=True, kw_only=True)
class BlockConfig:
    """What the residual blocks of a stack have in common.

    Attributes:
        width: Channels between blocks, 2d in the paper.
        hidden: Channels within a block, d in the paper.
        kernel: Taps of the dilated convolution.
        unit: ``"activation"``, figure 3 left, or ``"multiplicative"``, figure 3 right.
        activation: ``"relu"`` or ``"gelu"``, by the error function.
        dropout: Share of a block's output that is dropped while training.
    """

    width: int
    hidden: int
    kernel: int
    unit: str = "activation"
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self):
        """Refuses what is no block, with `InputError`."""
        for name in ("width", "hidden", "kernel"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65_536:
                raise InputError(f"{name} must be a whole number from 1 to 65536, not {value!r}")
        for name, allowed in (("unit", UNITS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be {' or '.join(allowed)}, not {getattr(self, name)!r}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be from 0 to below 1, not {self.dropout!r}")


@keras.saving.register_keras_serializable(PACKAGE)
class RealPositions(keras.layers.Layer):
    """1 where a sequence is, 0 where padding fills it up: ``(batch, n)`` integers → ``(batch, n, 1)``.

    Args:
        padding: The symbol that fills up.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, padding: int, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, symbols):
        real = tf.not_equal(symbols, tf.cast(self.padding, symbols.dtype))
        return tf.expand_dims(tf.cast(real, self.compute_dtype), -1)

    def compute_output_shape(self, input_shape):
        return (*input_shape, 1)

    def compute_output_spec(self, symbols):
        return keras.KerasTensor((*symbols.shape, 1), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable(PACKAGE)
class MultiplicativeUnit(keras.layers.Layer):
    """Four gates around a state (Kalchbrenner et al. 2016, "Video Pixel Networks", section 3.1).

    ``[h (batch, n, d), gates (batch, n, 4·d)]`` → ``(batch, n, d)``: g₁ · tanh(g₂ · h + g₃ · u) with the
    gates g = σ(first three quarters) and the update u = tanh(last quarter).
    """

    def call(self, inputs):
        h, gates = inputs
        first, second, third, update = tf.split(gates, 4, axis=-1)
        inner = tf.sigmoid(second) * h + tf.sigmoid(third) * tf.tanh(update)
        return tf.sigmoid(first) * tf.tanh(inner)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def normalized(x, config: BlockConfig, make: Callable, name: str):
    """Layer normalization and activation, as before each convolution of a block."""
    x = make(f"{name}_norm", keras.layers.LayerNormalization, epsilon=EPSILON)(x)
    function = {"relu": keras.activations.relu, "gelu": exact_gelu}[config.activation]
    return keras.layers.Activation(function, name=f"{name}_{config.activation}")(x)


@keras.saving.register_keras_serializable(PACKAGE)
def exact_gelu(x):
    """GELU by the error function; that of Keras 3 is an approximation by default."""
    return keras.activations.gelu(x, approximate=False)


def residual_block(x, mask, *, config: BlockConfig, rate: int, name: str, make: Callable, past: Past | None):
    """A residual block with a dilated convolution between two 1×1 ones.

    Args:
        x: ``(batch, n, width)``.
        mask: ``(batch, n, 1)``, 1 where the sequence is; `None` where all of it is. It is applied to what
            the dilated convolution reads and nowhere else, so padding has values but none that reaches
            the sequence.
        config: Of the stack.
        rate: Of this block.
        name: Prefix of its layers.
        make: Gives a layer by name, class and arguments: a fresh one, or that of an existing network.
        past: Where a causal block's earlier positions come from; `None` for a symmetric block.

    Returns:
        As `x`.
    """
    h = normalized(x, config, make, f"{name}_in")
    h = make(f"{name}_in", DilatedConv1D, filters=config.hidden, kernel_size=1)(h)
    if config.unit == "multiplicative":
        h = _multiplied(h, mask, config, rate, name, make, past)
    else:
        h = normalized(h, config, make, f"{name}_conv")
        h = _dilated(h, mask, config, rate, f"{name}_conv", make, past, config.hidden)
        h = normalized(h, config, make, f"{name}_out")
    h = make(f"{name}_out", DilatedConv1D, filters=config.width, kernel_size=1)(h)
    if config.dropout:
        h = keras.layers.Dropout(config.dropout, name=f"{name}_dropout")(h)
    return keras.layers.Add(name=f"{name}_sum")([x, h])


def _dilated(h, mask, config: BlockConfig, rate: int, name: str, make: Callable, past, filters: int):
    if mask is not None:
        h = keras.layers.Multiply(name=f"{name}_masked")([h, mask])
    words = {"filters": filters, "kernel_size": config.kernel, "rate": rate}
    if past is None:
        return make(name, DilatedConv1D, **words, padding="symmetric")(h)
    h = past.before(h, (config.kernel - 1) * rate, name=name)
    return make(name, DilatedConv1D, **words, padding="valid")(h)


def _multiplied(h, mask, config: BlockConfig, rate: int, name: str, make: Callable, past):
    """Two multiplicative units, the first over the dilated taps and the second over one position."""
    state = make(f"{name}_conv_norm", keras.layers.LayerNormalization, epsilon=EPSILON)(h)
    gates = _dilated(state, mask, config, rate, f"{name}_conv", make, past, 4 * config.hidden)
    h = MultiplicativeUnit(name=f"{name}_unit")([state, gates])
    state = make(f"{name}_inner_norm", keras.layers.LayerNormalization, epsilon=EPSILON)(h)
    gates = make(f"{name}_inner", DilatedConv1D, filters=4 * config.hidden, kernel_size=1)(state)
    return MultiplicativeUnit(name=f"{name}_inner_unit")([state, gates])
