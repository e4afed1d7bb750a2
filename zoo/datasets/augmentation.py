"""Settings of random augmentation; `zoo.datasets.transform` applies them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo.errors import InputError

# What each number may be at most; all may be 0, which leaves the change out.
_LIMITS = {
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.5,
    "gamma": 3.0,
    "gain": 1.0,
    "shadow": 1.0,
    "blur": 10.0,
    "noise": 1.0,
    "rare": 1.0,
    "paste": 1.0,
}


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
        gamma: Largest power of two that the exponent of the values is multiplied or divided by: 1 is ½ to 2.
        gain: Largest change of the factor of each channel by itself, as of another white balance.
        shadow: Largest loss of light on one side of a soft line through every second image.
        blur: Largest standard deviation of a Gaussian over every second image, in pixels.
        noise: Largest standard deviation of Gaussian noise in every second image, as a share of 255.
        rare: Share of the crops that are placed around a pixel of a rare class, see
            `zoo.datasets.composition`.
        paste: Share of the images that receive the pixels of a rare class from another image.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    brightness: float = 0.125
    contrast: float = 0.25
    saturation: float = 0.25
    hue: float = 0.02
    gamma: float = 0.0
    gain: float = 0.0
    shadow: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    rare: float = 0.0
    paste: float = 0.0

    def __post_init__(self) -> None:
        try:
            low, high = (float(factor) for factor in self.scale)
        except (TypeError, ValueError):
            low, high = 0.0, 0.0
        if not 0 < low <= high < math.inf:
            raise InputError(f"scale is (smallest, largest) factor, both positive, not {self.scale!r}")
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= limit:
                raise InputError(f"{name} lies between 0 and {limit:g}, not {value!r}")

    @property
    def color(self) -> bool:
        """Whether colours change at all."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    @property
    def photometric(self) -> bool:
        """Whether light or camera change, see `zoo.datasets.photometric`."""
        return any((self.gamma, self.gain, self.shadow, self.blur, self.noise))

    @property
    def composed(self) -> bool:
        """Whether rare classes are looked for, see `zoo.datasets.composition`."""
        return bool(self.rare or self.paste)
