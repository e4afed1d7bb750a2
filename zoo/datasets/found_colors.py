"""The colours that occur in masks, where no table says them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.datasets.scan import Problem, Scan
from zoo.errors import InputError, ZooError
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


def color_problem(scans: Sequence[Scan], folder: Path) -> Problem | None:
    """Where masks are in colours and no table was given: which colours they have."""
    masks = [scan.mask_path for scan in scans if any("colours" in p.message for p in scan.problems)]
    if 2 * len(masks) <= len(scans):  # a few among others are another mistake
        return None
    try:
        colors = ", ".join(table_of(masks))
    except ZooError as error:
        return Problem(folder, "colors", f"masks in colours: {error}")
    return Problem(
        folder,
        "colors",
        f"{len(masks)} masks are in colours: {colors}; write a table of names and colours and say "
        "--colors FILE, or let `zoo dataset convert colors` name the classes after them",
    )
