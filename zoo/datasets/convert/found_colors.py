"""The colours that occur in masks, where no table says them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.images.read import read_colors
from zoo.labels import Color

MOST = 64  # beyond it, colours are noise as likely as classes


def table_of(masks: Sequence[Path]) -> dict[str, Color]:
    """Every colour of lossless masks by a name such as ``#800000``, dark ones first.

    Raises:
        InputError: There are more than 64, as after a lossy format or smoothing, or none.
    """
    found: set[int] = set()
    for path in masks:
        pixels, _ = read_colors(path)
        found |= set(np.unique(pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)).tolist())
        if len(found) > MOST:
            raise InputError(
                f"{path}: the masks have more than {MOST} colours, which a lossy format or smoothing adds: "
                "give "
                "--colors FILE"
            )
    if len(found) < 2:
        raise InputError("the masks have fewer than two colours; give --colors FILE")
    return {f"#{code:06x}": (code >> 16, code >> 8 & 255, code & 255) for code in sorted(found)}
