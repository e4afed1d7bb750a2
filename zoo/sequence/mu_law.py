"""µ-law companding: sound in −1…1 to 256 codes and back (van den Oord et al. 2016, section 2.2).

Implementations differ by half a code: `"rounded"` (ibab's tensorflow-wavenet) has silence at 128, `"floored"`
(nnmnkwii, which wavenet_vocoder uses) at 127. A checkpoint goes with one of them.
"""

from __future__ import annotations

import numpy as np

from zoo.errors import InputError

MU = 255
CONVENTIONS = ("rounded", "floored")


def encode(sound: np.ndarray, *, convention: str = "rounded") -> np.ndarray:
    """Codes of sound.

    Args:
        sound: Floats in −1…1, any shape; what is beyond is cut.
        convention: Of `CONVENTIONS`.

    Returns:
        uint8, of the same shape.

    Raises:
        InputError: Another convention, or values that are no finite floats.
    """
    half = _half(convention)
    x = np.asarray(sound)
    if x.dtype.kind != "f" or not np.isfinite(x).all():
        raise InputError(f"µ-law takes finite floats, not {x.dtype} of shape {x.shape}")
    x = np.clip(x.astype(np.float64), -1, 1)
    squeezed = np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU)
    return np.floor((squeezed + 1) / 2 * MU + half).astype(np.uint8)


def decode(codes: np.ndarray, *, convention: str = "rounded") -> np.ndarray:
    """Sound of codes, float32 in −1…1.

    Args:
        codes: Integers in 0…255, any shape.
        convention: Of `CONVENTIONS`.

    Raises:
        InputError: Another convention, or what are no codes.
    """
    _half(convention)
    codes = np.asarray(codes)
    if codes.dtype.kind not in "ui" or (codes.size and not 0 <= int(codes.min()) <= int(codes.max()) <= MU):
        raise InputError(f"µ-law codes are integers in 0…{MU}, not {codes.dtype} of shape {codes.shape}")
    squeezed = 2 * codes.astype(np.float64) / MU - 1
    return (np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log1p(MU)) / MU).astype(np.float32)


def _half(convention: str) -> float:
    if convention not in CONVENTIONS:
        raise InputError(f"the convention of µ-law is one of {', '.join(CONVENTIONS)}, not {convention!r}")
    return 0.5 if convention == "rounded" else 0.0
