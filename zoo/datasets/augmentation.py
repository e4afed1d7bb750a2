"""Settings of random augmentation; `zoo.datasets.transform` applies them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each sample's changes are drawn uniformly; image and mask change together.

    Attributes:
        scale: Smallest and largest factor of the size, before the crop.
        flip: Mirror every second sample, left to right.
        brightness: Largest shift, as a share of 255.
        contrast: Largest change of the factor of differences to the image's mean grey: 0.2 is 0.8 to 1.2.
        saturation: Largest change of the factor of differences to each pixel's grey.
        hue: Largest shift of the hue, as a share of the full circle, up to 0.5.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    brightness: float = 0.125
    contrast: float = 0.25
    saturation: float = 0.25
    hue: float = 0.02

    def __post_init__(self) -> None:
        try:
            low, high = (float(factor) for factor in self.scale)
        except (TypeError, ValueError):
            low, high = 0.0, 0.0
        if not 0 < low <= high < math.inf:
            raise InputError(f"scale is (smallest, largest) factor, both positive, not {self.scale!r}")
        limits = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5}
        for name, limit in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
                raise InputError(f"{name} lies between 0 and {limit:g}, not {value!r}")

    @property
    def color(self) -> bool:
        """Whether colours change at all."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))
