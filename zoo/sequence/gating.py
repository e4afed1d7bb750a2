"""Activations, and gates that multiply them (van den Oord et al. 2016, equation 2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

SLOPE = 0.01
ACTIVATIONS = ("Tanh", "Hardtanh", "ReLU", "LeakyReLU", "Sigmoid", "SiLU", "Hardswish", "Softsign")


@dataclass(frozen=True)
class Activation:
    """A function of `ACTIVATIONS`; `slope` is that of LeakyReLU below zero."""

    name: str
    slope: float = SLOPE

    @property
    def plain(self) -> tuple[str, float]:
        """As plain values."""
        return dataclasses.astuple(self)
