"""Masks in colours, read as they are by a table of the colours and classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.datasets.colors import bound_of, nearest, read_table
from zoo.datasets.listing import Listing
from zoo.errors import FormatError, InputError
from zoo.files import check_local
from zoo.images.read import read_colors
from zoo.labels import Color, LabelSet

_IGNORE = 255
# Names of what never counts.
IGNORED_NAMES = frozenset({"__ignore__", "ignore", "ignored", "void", "unlabeled", "unlabelled"})


@dataclass(frozen=True)
class ColorTable:
    """A table of colours as a data set uses it.

    Attributes:
        label_set: The classes, without those that never count.
        colors: All colours.
        labels: Class of each of the 256 positions in `colors`; -1 where there is none.
    """

    label_set: LabelSet
    colors: tuple[Color, ...]
    labels: tuple[int, ...]

    def applied(self, listing: Listing) -> Listing:
        """The listing with masks in these colours."""
        dataset = replace(
            listing.dataset, colors=self.colors, table=self.labels, distance=bound_of(self.colors)
        )
        return replace(listing, dataset=dataset)


def table_of(path: str | os.PathLike, *, classes: object, binary: bool) -> ColorTable:
    """The table in a file; see `zoo.datasets.colors.read_table`.

    Raises:
        InputError: A file that cannot be read, fewer than two classes, or another option that names classes.
        FormatError: It is no such table.
    """
    if classes is not None or binary:
        raise InputError("a table of colours names the classes: leave out classes and binary")
    table = read_table(check_local(path))
    names = [name for name in table if name.casefold() not in IGNORED_NAMES]
    if not 2 <= len(names) <= _IGNORE:
        raise InputError(
            f"{path}: there can be 2 to {_IGNORE} classes, not {len(names)}: {', '.join(names[:5])}"
        )
    labels = [names.index(name) if name in names else _IGNORE for name in table]
    label_set = LabelSet("custom", tuple(names), tuple(table[name] for name in names), _IGNORE)
    return ColorTable(label_set, tuple(table.values()), (*labels, *[-1] * (256 - len(labels))))


def colored_positions(
    path: Path,
    colors: Sequence[Color],
    distance: float,
    *,
    exif: str = "apply",
    max_pixels: int | None = None,
) -> np.ndarray:
    """``(height, width)`` uint8: position in `colors` of each pixel, by the nearest within a distance.

    Raises:
        InputError: There is no such file.
        FormatError: A damaged file, or pixels further from every colour.
    """
    pixels, _ = read_colors(path, exif=exif, max_pixels=max_pixels)
    found = nearest(pixels, colors, distance=distance)
    if found.far:
        raise FormatError(
            f"{path}: {found.far} pixels have a colour of no class, such as {found.example}; "
            "`zoo dataset convert colors` ignores and counts them"
        )
    return found.positions.astype(np.uint8)
