"""Parameters drawn from their names: both sides of a comparison make the same ones, and no file holds them.

Pure NumPy, so that the scripts that run the originals and the tests that run the zoo share it.
"""

import hashlib

import numpy as np


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values of the parameter called `name` in its source.

    A generator seeded by the SHA-256 of the name draws them. The scale keeps activations of deep networks
    within a few powers of ten: kernels (out, in, ...) are normal by their fan-in (He et al. 2015), batch
    norm scales lie around 1, variances between 1 and 3, means, shifts and biases around 0. A one-dimensional
    parameter is known by its name: `gamma` or `weight` is a scale, `var` a variance, the rest are small.
    """
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        values = generator.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / fan_in))
        return values.astype(np.float32)
    if "var" in name.rpartition(".")[2]:
        return generator.uniform(1, 3, shape).astype(np.float32)
    center = 1.0 if name.endswith(("gamma", "weight")) else 0.0
    return (center + 0.1 * generator.standard_normal(shape)).astype(np.float32)


def image(height: int, width: int) -> np.ndarray:
    """An RGB test image (height, width, 3) by formula, float32 whole numbers in 0…255."""
    rows, columns, channels = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    waves = np.sin(rows * 0.31 + channels) + np.cos(columns * 0.17 - 2 * channels)
    return np.round(127.5 + 60 * waves).astype(np.float32)
