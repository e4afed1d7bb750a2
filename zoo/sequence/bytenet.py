"""ByteNet: a causal decoder stacked on a symmetric encoder (Kalchbrenner et al. 2016).

Both are stacks of dilated residual blocks (`zoo.sequence.bytenet_blocks`), and neither changes the
resolution: the decoder's position t reads the encoder's column t and, through its own taps, the earlier ones
(section 3.1). Target and source may differ in length: the decoder unfolds up to |t̂| = a·|s| + b positions
over the columns, with columns of zeros beyond the source, until it gives the symbol of the end (section 3.2).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, shaped, standard_globals
from zoo.sequence.bytenet_blocks import BlockConfig, RealPositions, residual_block
from zoo.sequence.convolution import DilatedConv1D
from zoo.sequence.streaming import Padded, Past
from zoo.sequence.symbols import PADDING

OUTPUT = "logits"


@dataclass(frozen=True, kw_only=True)
class ByteNetConfig:
    """What a ByteNet of two sequences consists of.

    Attributes:
        source: Symbols of the source; 0 is the padding.
        target: Symbols of the target; 0 is what precedes the first, 1 the end.
        blocks: Of encoder and decoder.
        encoder_rates: Of the encoder's blocks.
        decoder_rates: Of the decoder's blocks.
        slope: a of |t̂| = a·|s| + b, the most positions that the decoder unfolds to, its end included.
        offset: b of the same.
    """

    source: int
    target: int
    blocks: BlockConfig
    encoder_rates: tuple[int, ...]
    decoder_rates: tuple[int, ...]
    slope: float = 1.2
    offset: int = 0

    def __post_init__(self):
        """Refuses what is no network, with `InputError`."""
        if isinstance(self.blocks, dict):
            object.__setattr__(self, "blocks", BlockConfig(**self.blocks))
        for name in ("encoder_rates", "decoder_rates"):
            rates = tuple(getattr(self, name))
            object.__setattr__(self, name, rates)
            if not rates or not all(isinstance(r, int) and 1 <= r <= 65_536 for r in rates):
                raise InputError(f"{name} must be whole numbers from 1 to 65536, not {rates}")
        for name in ("source", "target"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= 65_536:
                raise InputError(f"{name} must be a whole number from 2 to 65536, not {value!r}")
        if self.blocks.kernel % 2 == 0:
            raise InputError(f"a symmetric stack has an odd kernel, not {self.blocks.kernel}")
        if not 0 < self.slope <= 100 or not 0 <= self.offset <= 1000:
            raise InputError(f"slope is up to 100 and offset 0 to 1000, not {self.slope}, {self.offset}")

    def longest(self, source: int) -> int:
        """Positions to which the decoder unfolds over a source of so many symbols."""
        return max(1, math.floor(self.slope * source + self.offset))


@keras.saving.register_keras_serializable(PACKAGE)
class Unfolded(keras.layers.Layer):
    """As many columns as the target has symbols, zeros beyond the source (section 3.2).

    ``[columns (batch, n, channels), target (batch, m)]`` → ``(batch, m, channels)``.
    """

    def call(self, inputs):
        columns, target = inputs
        length = target.shape[1] or tf.shape(target)[1]
        shape = self.compute_output_shape([columns.shape, target.shape])
        return shaped(tf.pad(columns, [[0, 0], [0, length], [0, 0]])[:, :length], shape)

    def compute_output_shape(self, input_shape):
        columns, target = input_shape
        return (columns[0], target[1], columns[2])


@keras.saving.register_keras_serializable(PACKAGE)
class ByteNetLogits(DilatedConv1D):
    """The last 1×1 convolution, which carries the whole network's configuration.

    Args:
        network: `ByteNetConfig` as plain values.
        **kwargs: Those of `DilatedConv1D`.
    """

    task = "two sequences"

    def __init__(self, filters: int, *, network, **kwargs):
        super().__init__(filters, **kwargs)
        self.network = network

    def get_config(self):
        return {**super().get_config(), "network": self.network}


def build_bytenet(config: ByteNetConfig, *, name: str = "bytenet") -> keras.Model:
    """Encoder and decoder with fresh weights, for a known target (teacher forcing).

    Args:
        config: What it consists of.
        name: Of the Keras model.

    Returns:
        A model of ``source`` (batch, n) integers, padded behind with 0, and ``target`` (batch, m) integers,
        the symbols before each position, 0 first; to float32 logits ``(batch, m, symbols)`` of the target's
        symbol at each position.
    """
    with standard_globals():
        source = keras.Input((None,), dtype="int32", name="source")
        target = keras.Input((None,), dtype="int32", name="target")
        columns = _encoder(source, config, _fresh)
        columns = Unfolded(name="unfolded")([columns, target])
        output = _decoder(columns, target, config, _fresh, Padded())
        return keras.Model({"source": source, "target": target}, output, name=name)


def encoder_of(model: keras.Model) -> keras.Model:
    """The encoder alone: ``source`` (batch, n) → its columns ``(batch, n, width)``; variables are shared."""
    config_of(model)
    return keras.Model(model.input["source"], model.get_layer("columns").output, name=f"{model.name}_encoder")


def config_of(model: keras.Model) -> ByteNetConfig:
    """The configuration of what `build_bytenet` built, or of its saved file; `InputError` of others."""
    last = model.layers[-1] if getattr(model, "layers", None) else None
    if not isinstance(last, ByteNetLogits):
        raise InputError(f"{getattr(model, 'name', model)!r} is no ByteNet of two sequences")
    return ByteNetConfig(**last.network)


def _fresh(name: str, kind: type, /, **words):
    return kind(**words, name=name)


def _encoder(source, config: ByteNetConfig, make: Callable):
    """The encoder's columns ``(batch, n, width)``, zeros where the source is padding."""
    x = make(
        "source_embedding", keras.layers.Embedding, input_dim=config.source, output_dim=config.blocks.width
    )
    x, mask = x(source), RealPositions(padding=PADDING, name="source_mask")(source)
    for index, rate in enumerate(config.encoder_rates):
        words = {"config": config.blocks, "rate": rate, "name": f"encoder{index}", "make": make}
        x = residual_block(x, mask, **words, past=None)
    return keras.layers.Multiply(name="columns")([x, mask])


def _decoder(columns, target, config: ByteNetConfig, make: Callable, past: Past):
    """Logits of each position from its column and the symbol before it."""
    width = config.blocks.width
    x = make("target_embedding", keras.layers.Embedding, input_dim=config.target, output_dim=width)(target)
    x = keras.layers.Add(name="decoder_input")([x, columns])
    for index, rate in enumerate(config.decoder_rates):
        words = {"config": config.blocks, "rate": rate, "name": f"decoder{index}", "make": make}
        x = residual_block(x, None, **words, past=past)
    x = make("head_conv", DilatedConv1D, filters=width, kernel_size=1)(x)
    x = keras.layers.ReLU(name="head_relu")(x)
    network = dataclasses.asdict(config)
    return make(OUTPUT, ByteNetLogits, filters=config.target, kernel_size=1, network=network)(x)
