"""Codes out of logits."""

from __future__ import annotations

import math

import numpy as np

from zoo.errors import InputError


def chosen(logits: np.ndarray, temperature: float, draw: np.random.Generator) -> np.ndarray:
    """Codes drawn by ``(batch, classes)`` logits: ``(batch,)`` integers."""
    if temperature == 0:
        return logits.argmax(axis=-1)
    # The greatest of logits plus Gumbel noise is distributed as the softmax is.
    return (logits / temperature + draw.gumbel(size=logits.shape)).argmax(axis=-1)


def check_temperature(temperature: object) -> None:
    """Raise an `InputError` for what is no temperature."""
    is_number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not is_number or not 0 <= temperature < math.inf:
        raise InputError(f"temperature must be a number from 0, not {temperature!r}")
