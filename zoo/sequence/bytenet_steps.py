"""A ByteNet's decoder step by step: only the new position is computed, the earlier ones come out of rings.

What the taps of a dilated layer read lies in a ring buffer of the host, as long as the layer reaches back. A
whole decoder would compute all positions anew for each symbol.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.sequence.bytenet import OUTPUT, ByteNetConfig, config_of, encoder_of
from zoo.sequence.bytenet_blocks import EPSILON


class ByteNetSteps:
    """The encoder of a ByteNet, and decodings over its columns.

    Args:
        model: What `zoo.sequence.build_bytenet` built, with ReLU blocks.

    Attributes:
        config: Of the network.

    Raises:
        InputError: Another model.
    """

    def __init__(self, model: keras.Model):
        self.config = config_of(model)
        if (self.config.blocks.unit, self.config.blocks.activation) != ("activation", "relu"):
            raise InputError(f"{model.name} has other blocks than those of ReLU: steps are of these alone")
        encoder = encoder_of(model)
        self._columns = tf.function(lambda source: encoder(source), autograph=False, reduce_retracing=True)
        layers = {layer.name: layer for layer in model.layers if layer.weights}
        self._weights = {name: [np.asarray(w) for w in layer.weights] for name, layer in layers.items()}

    def begin(self, source: np.ndarray) -> Decoding:
        """A decoding of each source, ``(batch, n)`` integers padded behind with 0."""
        columns = self._columns(tf.constant(np.asarray(source), tf.int32)).numpy()
        return Decoding(columns, self.config, self._weights)


class Decoding:
    """Hypotheses over columns; each step takes one symbol of each.

    Args:
        columns: ``(batch, n, width)`` of the encoder.
        config: Of the network.
        weights: Arrays of each layer by its name.
    """

    def __init__(self, columns: np.ndarray, config: ByteNetConfig, weights: dict[str, list[np.ndarray]]):
        self._columns, self._config, self._weights, self._at = columns, config, weights, 0
        taps = config.blocks.kernel - 1
        size = (len(columns), config.blocks.hidden)
        self._rings = [np.zeros((taps * rate + 1, *size), np.float32) for rate in config.decoder_rates]

    def step(self, symbols: np.ndarray, parents: np.ndarray | None = None) -> np.ndarray:
        """The logits that follow a symbol of each hypothesis.

        Args:
            symbols: ``(batch,)`` integers, the ones before this position; 0 first.
            parents: ``(batch,)`` integers: which of the former hypotheses each goes on from; `None` for
                itself. Their number may change.

        Returns:
            ``(batch, target symbols)`` float32.
        """
        if parents is not None:
            self._columns = self._columns[parents]
            self._rings = [ring[:, parents] for ring in self._rings]
        x = self._weights["target_embedding"][0][symbols]
        if self._at < self._columns.shape[1]:
            x = x + self._columns[:, self._at]
        for index, ring in enumerate(self._rings):
            x = x + self._block(x, ring, self._config.decoder_rates[index], f"decoder{index}")
        self._at += 1
        x = np.maximum(self._dense(x, "head_conv"), 0)
        return self._dense(x, OUTPUT)

    def _block(self, x: np.ndarray, ring: np.ndarray, rate: int, name: str) -> np.ndarray:
        h = self._dense(self._normalized(x, f"{name}_in_norm"), f"{name}_in")
        ring[self._at % len(ring)] = self._normalized(h, f"{name}_conv_norm")
        taps = self._config.blocks.kernel
        seen = ring[(self._at - rate * np.arange(taps)[::-1]) % len(ring)]
        kernel, bias = self._weights[f"{name}_conv"]
        # The taps side by side, oldest first, as the kernel has them.
        h = seen.transpose(1, 0, 2).reshape(len(x), -1) @ kernel.reshape(-1, kernel.shape[-1]) + bias
        return self._dense(self._normalized(h, f"{name}_out_norm"), f"{name}_out")

    def _normalized(self, x: np.ndarray, name: str) -> np.ndarray:
        scale, shift = self._weights[name]
        x = x - x.mean(axis=-1, keepdims=True)
        x *= scale / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        return np.maximum(x + shift, 0)

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = self._weights[name]
        return x @ kernel[0] + bias
