"""One stack of ByteNet blocks from tokens to tokens: a language model, causal or of masked positions.

The causal stack is the paper's decoder alone (Kalchbrenner et al. 2016, section 4.1); the symmetric one with
layer normalization behind it is that of CARP (Yang, Fusi & Lu 2024).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import keras

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, standard_globals
from zoo.sequence.bytenet_blocks import EPSILON, BlockConfig, RealPositions, residual_block
from zoo.sequence.convolution import DilatedConv1D
from zoo.sequence.streaming import Padded

LOGITS, REPRESENTATIONS = "logits", "representations"


@dataclass(frozen=True, kw_only=True)
class TokenNetConfig:
    """What a network of tokens consists of.

    Attributes:
        tokens: Symbols, in and out.
        padding: The one that fills a batch up.
        embedding: Channels of the embedding, which a 1×1 convolution widens.
        blocks: Of the stack.
        rates: Of its blocks.
        causal: Whether a position sees itself and earlier ones alone.
        last_norm: Whether layer normalization stands before the logits.
    """

    tokens: int
    padding: int
    embedding: int
    blocks: BlockConfig
    rates: tuple[int, ...]
    causal: bool = False
    last_norm: bool = True

    def __post_init__(self):
        """Refuses what is no network, with `InputError`."""
        if isinstance(self.blocks, dict):
            object.__setattr__(self, "blocks", BlockConfig(**self.blocks))
        object.__setattr__(self, "rates", tuple(self.rates))
        if not self.rates or not all(isinstance(r, int) and 1 <= r <= 65_536 for r in self.rates):
            raise InputError(f"rates must be whole numbers from 1 to 65536, not {self.rates}")
        if not 2 <= self.tokens <= 65_536 or not 0 <= self.padding < self.tokens:
            raise InputError(f"padding is one of 2 to 65536 tokens, not {self.padding} of {self.tokens}")
        if not 1 <= self.embedding <= 65_536:
            raise InputError(f"embedding must be from 1 to 65536, not {self.embedding!r}")
        if not self.causal and self.blocks.kernel % 2 == 0:
            raise InputError(f"a symmetric stack has an odd kernel, not {self.blocks.kernel}")

    @property
    def receptive_field(self) -> int:
        """Tokens that one position depends on."""
        return 1 + (self.blocks.kernel - 1) * sum(self.rates)


@keras.saving.register_keras_serializable(PACKAGE)
class TokenLogits(DilatedConv1D):
    """The last 1×1 convolution, which carries the whole network's configuration.

    Args:
        network: `TokenNetConfig` as plain values.
        **kwargs: Those of `DilatedConv1D`.
    """

    task = "tokens"

    def __init__(self, filters: int, *, network, **kwargs):
        super().__init__(filters, **kwargs)
        self.network = network

    def get_config(self):
        return {**super().get_config(), "network": self.network}


def build_token_net(config: TokenNetConfig, *, name: str = "bytenet_tokens") -> keras.Model:
    """The network with fresh weights.

    Args:
        config: What it consists of.
        name: Of the Keras model.

    Returns:
        A model of ``tokens`` (batch, n) integers to a dictionary of float32 ``logits`` (batch, n, tokens) and
        ``representations`` (batch, n, width), the stack's output before the last normalization. Values at
        padding mean nothing, and do not depend on how much of it there is before them.
    """
    with standard_globals():
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        mask = RealPositions(padding=config.padding, name="mask")(tokens)
        table = keras.layers.Embedding(config.tokens, config.embedding, name="embedding")
        x = DilatedConv1D(config.blocks.width, kernel_size=1, name="embedding_wide")(table(tokens))
        past = Padded() if config.causal else None
        for index, rate in enumerate(config.rates):
            words = {"config": config.blocks, "rate": rate, "name": f"block{index}", "make": _fresh}
            x = residual_block(x, mask, **words, past=past)
        h = x
        if config.last_norm:
            h = keras.layers.LayerNormalization(epsilon=EPSILON, name="last_norm")(x)
        network = dataclasses.asdict(config)
        logits = TokenLogits(config.tokens, kernel_size=1, network=network, name=LOGITS)(h)
        return keras.Model(tokens, {LOGITS: logits, REPRESENTATIONS: x}, name=name)


def token_net_of(model: keras.Model) -> TokenNetConfig:
    """The configuration of what `build_token_net` built, or of its saved file; `InputError` of others."""
    last = model.layers[-1] if getattr(model, "layers", None) else None
    if not isinstance(last, TokenLogits):
        raise InputError(f"{getattr(model, 'name', model)!r} is no ByteNet of tokens")
    return TokenNetConfig(**last.network)


def _fresh(name: str, kind: type, /, **words):
    return kind(**words, name=name)
