"""Kernels rounded to 8 bits so that the outputs change least, not the weights.

Each weight is rounded in turn, and what that changes in the output is made up for by the weights that are
still to come, by the second moments of what the layer reads (Frantar et al. 2022, "GPTQ", section 3); the
mean of what is left over goes into the bias (Nagel et al. 2019, section 4.2). Every kernel ends up on the
grid that a converter lays over it, with its largest weight where it was, so that rounding it once more
changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D

_DEPTHWISE = (DilatedDepthwiseConv2D, keras.layers.DepthwiseConv2D)
_CONVOLUTIONS = (DilatedConv2D, keras.layers.Conv2D, *_DEPTHWISE)
_LEVELS = 127
# Images and places in each of them that the moments are taken from.
_IMAGES, _PLACES = 16, 512
# Inputs of a filter beyond which the moments are too many: such kernels go to the nearest values.
_WIDEST = 2304
_DAMPING = 0.01


@contextlib.contextmanager
def rounded_kernels(network: keras.Model, images: Sequence[np.ndarray]) -> Iterator[None]:
    """Round the kernels of a network's convolutions for as long as the context lasts.

    Args:
        network: Has its own weights again afterwards.
        images: ``(height, width, 3)`` in 0…255 like those to come; `_IMAGES` of them are looked at.
    """
    # A layer that is called twice reads two inputs, and is left to the converter.
    found = [layer for layer in network.layers if isinstance(layer, _CONVOLUTIONS)]
    layers = [layer for layer in found if len(layer._inbound_nodes) == 1]
    kept = [(variable, np.array(variable)) for layer in layers for variable in layer.weights]
    moments = _moments(network, layers, images) if layers else []
    try:
        for layer, found in zip(layers, moments, strict=True):
            _round(layer, found)
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


@dataclass(eq=False)
class _Moments:
    """Of what a filter reads.

    Attributes:
        mean: ``(inputs,)``, or ``(channels, inputs)`` of a depthwise layer.
        second: ``(inputs, inputs)``, or one for each channel; `None` where there are too many.
    """

    mean: np.ndarray
    second: np.ndarray | None


def _moments(network: keras.Model, layers: Sequence, images: Sequence[np.ndarray]) -> list[_Moments]:
    chosen = [images[i * len(images) // _IMAGES] for i in range(_IMAGES)] if len(images) > _IMAGES else images
    probe = keras.Model(network.input, [layer.input for layer in layers])
    random, found = np.random.default_rng(0), [None] * len(layers)
    for image in chosen:
        maps = probe(np.asarray(image, np.float32)[None], training=False)
        for index, (layer, x) in enumerate(zip(layers, maps, strict=True)):
            one = _of(_patches(np.asarray(x)[0], layer, random), depthwise=isinstance(layer, _DEPTHWISE))
            found[index] = one if found[index] is None else _sum(found[index], one)
    count = len(chosen)
    return [_Moments(m.mean / count, None if m.second is None else m.second / count) for m in found]


def _sum(a: _Moments, b: _Moments) -> _Moments:
    return _Moments(a.mean + b.mean, None if a.second is None else a.second + b.second)


def _patches(x: np.ndarray, layer, random: np.random.Generator) -> np.ndarray:
    """``(places, taps, channels)`` around random places of a map, with zeros outside of it."""
    (height, width, _), (rows, columns) = x.shape, layer.kernel.shape[:2]
    rate = getattr(layer, "rate", None) or layer.dilation_rate
    rates = rate if isinstance(rate, tuple) else (rate, rate)
    places = random.integers((height, width), size=(_PLACES, 2))
    offsets = [
        ((i - (rows - 1) // 2) * rates[0], (j - (columns - 1) // 2) * rates[1])
        for i in range(rows)
        for j in range(columns)
    ]
    taken = places[:, None] + np.array(offsets)[None]
    inside = ((taken >= 0) & (taken < (height, width))).all(-1)
    y, x_ = (np.clip(taken[..., axis], 0, size - 1) for axis, size in enumerate((height, width)))
    return x[y, x_] * inside[..., None]


def _of(patches: np.ndarray, *, depthwise: bool) -> _Moments:
    if depthwise:
        each = patches.transpose(2, 0, 1)
        return _Moments(each.mean(1), each.transpose(0, 2, 1) @ each / len(patches))
    flat = patches.reshape(len(patches), -1)
    second = flat.T @ flat / len(flat) if flat.shape[1] <= _WIDEST else None
    return _Moments(flat.mean(0), second)


def _round(layer, moments: _Moments) -> None:
    kernel, depthwise = np.asarray(layer.kernel, np.float64), isinstance(layer, _DEPTHWISE)
    if depthwise:  # every channel by itself: (channels, taps, multiplier)
        weights = kernel.reshape(-1, *kernel.shape[2:]).transpose(1, 0, 2)
        rounded = _best(weights, moments.second)
        shift = np.einsum("cti,ct->ci", rounded - weights, moments.mean).reshape(-1)
        stored = rounded.transpose(1, 0, 2)
    else:
        weights = kernel.reshape(1, -1, kernel.shape[-1])
        second = None if moments.second is None else moments.second[None]
        rounded = _best(weights, second)
        shift = (rounded - weights)[0].T @ moments.mean
        stored = rounded
    layer.kernel.assign(stored.reshape(kernel.shape).astype(np.float32))
    if layer.bias is not None:
        layer.bias.assign(np.asarray(layer.bias) - shift.astype(np.float32))


def _best(weights: np.ndarray, second: np.ndarray | None) -> np.ndarray:
    """Rounded ``(groups, inputs, filters)``, by the second moments ``(groups, inputs, inputs)``."""
    largest = np.abs(weights).max(1, keepdims=True)
    scale = np.where(largest > 0, largest / _LEVELS, 1)
    nearest = np.rint(weights / scale) * scale
    if second is None or weights.shape[1] == 1:
        return nearest
    inputs = weights.shape[1]
    level = np.einsum("gii->g", second)[:, None, None] / inputs
    damped = second.astype(np.float64) + np.maximum(_DAMPING * level, 1e-8) * np.eye(inputs)
    # Upper triangular, of the inverse: what is left of it when the first inputs are settled.
    upper = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    top, left, done = np.abs(weights) == largest, weights.copy(), np.empty_like(weights)
    for i in range(inputs):
        near = np.clip(np.rint(left[:, i] / scale[:, 0]), -_LEVELS, _LEVELS) * scale[:, 0]
        # The largest keeps the grid in place, and zeros of a pruned model stay zeros.
        fixed = top[:, i] | (weights[:, i] == 0)
        done[:, i] = np.where(fixed, nearest[:, i], near)
        error = (left[:, i] - done[:, i]) / upper[:, i, i, None]
        left[:, i + 1 :] -= upper[:, i, i + 1 :, None] * error[:, None]
    return done
