"""Step by step generation: the layers' pasts in ring buffers of the host, one product per layer and step.

What a whole network computes anew for every sample, a step takes from memory (Paine et al. 2016, "Fast
Wavenet Generation Algorithm").
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from zoo.errors import InputError
from zoo.sequence.drawing import check_temperature, chosen
from zoo.sequence.wavenet import CONVENTIONS, OUTPUT, config_of


class _Ring:
    """The last inputs of a layer, ``(length, batch, channels)``; the oldest is overwritten."""

    def __init__(self, length: int, batch: int, channels: int, *, taps: int, rate: int):
        self._values = np.zeros((length, batch, channels), np.float32)
        self._offsets = np.arange(-(taps - 1) * rate, 1, rate)
        self._at = 0

    def push(self, x: np.ndarray) -> np.ndarray:
        """Keep an input; returns those that the taps read, ``(batch, taps · channels)``."""
        self._values[self._at] = x
        seen = self._values[(self._at + self._offsets) % len(self._values)]
        self._at = (self._at + 1) % len(self._values)
        return seen.transpose(1, 0, 2).reshape(len(x), -1)


@dataclass(frozen=True)
class _Layer:
    """What a step multiplies by: the taps one below another, skip and residual side by side."""

    kernel: np.ndarray
    bias: np.ndarray
    out_kernel: np.ndarray
    out_bias: np.ndarray


class WaveNetSteps:
    """A WaveNet that takes one code and gives the logits of the next.

    Args:
        model: What `zoo.sequence.build_wavenet` built.
        batch: Streams at once.
        ids: ``(batch, conditions)`` integers where the network has global conditions.

    Raises:
        InputError: Another model, or conditions that the network does not have.
    """

    def __init__(self, model: keras.Model, *, batch: int = 1, ids: np.ndarray | None = None):
        self._config = config = config_of(model)
        self._weights = {layer.name: [np.asarray(w) for w in layer.weights] for layer in model.layers}
        self._batch = batch
        self._rings = [
            _Ring((config.kernel - 1) * rate + 1, batch, config.residual, taps=config.kernel, rate=rate)
            for rate in config.rates
        ]
        self._layers = [
            self._layer(f"layer{i}", condition, is_last=i + 1 == config.layers)
            for i, condition in enumerate(self._conditioned(ids))
        ]

    def step(self, codes: np.ndarray, local: np.ndarray | None = None) -> np.ndarray:
        """``(batch,)`` codes and, where there is one, ``(batch, channels)`` local → ``(batch, classes)``."""
        config, scales = self._config, CONVENTIONS[self._config.convention]
        by_skip, by_residual = np.float32(scales.skip), np.float32(scales.residual)
        kernel, bias = self._weights["first"]
        x, skips, half = kernel[codes] + bias, None, config.gate // 2
        for index, (ring, layer) in enumerate(zip(self._rings, self._layers, strict=True)):
            z = ring.push(x) @ layer.kernel
            z += layer.bias
            if config.local:
                z += self._dense(local, f"layer{index}_local")
            # A sigmoid by tanh, which does not overflow.
            np.multiply(z[:, half:], np.float32(0.5), out=z[:, half:])
            np.tanh(z, out=z)
            z = z[:, :half] * (z[:, half:] * np.float32(0.5) + np.float32(0.5))
            found = z @ layer.out_kernel
            found += layer.out_bias
            skip = found[:, : config.skip]
            skips = skip if skips is None else (skips + skip) * by_skip
            if index + 1 < config.layers:
                x = (x + found[:, config.skip :]) * by_residual
        x = np.maximum(self._dense(np.maximum(skips, 0), "head_conv"), 0)
        return self._dense(x, OUTPUT)

    def _layer(self, name: str, condition, *, is_last: bool) -> _Layer:
        kernel, bias = self._weights[f"{name}_conv"]
        ends = [self._weights[f"{name}_{end}"] for end in ("skip", "out")[: 1 if is_last else 2]]
        return _Layer(
            kernel=kernel.reshape(-1, self._config.gate),
            bias=bias + condition,
            out_kernel=np.concatenate([end[0][0] for end in ends], axis=1),
            out_bias=np.concatenate([end[1] for end in ends]),
        )

    def _dense(self, x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = self._weights[name]
        return x @ kernel[0] + bias

    def _conditioned(self, ids: np.ndarray | None) -> list:
        config = self._config
        if bool(config.ids) != (ids is not None):
            raise InputError(f"the network has {len(config.ids)} global conditions; ids must give as many")
        if ids is None:
            return [np.float32(0)] * config.layers
        ids = np.asarray(ids)
        limits = np.asarray(config.ids)
        if ids.shape != (self._batch, len(limits)) or ids.dtype.kind not in "ui":
            raise InputError(f"ids are ({self._batch}, {len(limits)}) integers, not {ids.shape} {ids.dtype}")
        if (ids < 0).any() or (ids >= limits).any():
            raise InputError(f"ids are below {config.ids}, from 0, not {ids.tolist()}")
        embedded = sum(self._weights[f"id{i}"][0][ids[:, i]] for i in range(len(limits)))
        return [self._dense(embedded, f"layer{i}_global") for i in range(config.layers)]


def generate_codes(
    model: keras.Model,
    samples: int,
    *,
    ids: np.ndarray | None = None,
    local: np.ndarray | None = None,
    first: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """Codes that a WaveNet draws one after another.

    Args:
        model: What `zoo.sequence.build_wavenet` built.
        samples: How many.
        ids: ``(batch, conditions)`` integers where the network has global conditions.
        local: ``(batch, samples, channels)`` where it has a local one.
        first: The code before the first; the middle one, which is silence, by default.
        temperature: Divides the logits; below 1 the likelier codes gain, 0 takes the likeliest.
        seed: Of the draw; the same one gives the same codes.

    Returns:
        ``(batch, samples)`` integers.

    Raises:
        InputError: Another model, or arguments out of range.
    """
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        raise InputError(f"samples must be a whole number from 1, not {samples!r}")
    if local is not None and len(local[0]) < samples:
        raise InputError(f"local has {len(local[0])} samples, of {samples} that are wanted")
    words = {"ids": ids, "local": local, "first": first, "temperature": temperature, "seed": seed}
    return np.stack(list(itertools.islice(drawn_codes(model, **words), samples)), axis=1)


def drawn_codes(
    model: keras.Model,
    *,
    ids: np.ndarray | None = None,
    local: np.ndarray | None = None,
    first: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """The codes of `generate_codes` one after another, ``(batch,)`` each, as long as they are asked for."""
    check_temperature(temperature)
    config = config_of(model)
    if bool(config.local) != (local is not None):
        raise InputError(
            f"the network has {config.local} channels of a local condition; local must give as many"
        )
    first = config.classes // 2 if first is None else first
    if not isinstance(first, int | np.integer) or not 0 <= first < config.classes:
        raise InputError(f"first is a code from 0 to {config.classes - 1}, not {first!r}")
    batch = len(ids) if ids is not None else len(local) if local is not None else 1
    steps, draw = WaveNetSteps(model, batch=batch, ids=ids), np.random.default_rng(seed)
    codes = np.full(batch, first)
    for at in itertools.count():
        codes = chosen(steps.step(codes, None if local is None else local[:, at]), temperature, draw)
        yield codes
