"""Which images ``zoo segment`` reads by windows, and what the results are called."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from zoo.cli import notes
from zoo.inference.jobs.items import Item

_LARGE = 50_000_000  # pixels of a TIFF from which --tile reads it by windows


def by_windows(items: Sequence[Item], args: argparse.Namespace) -> set[str]:
    """Keys of the TIFF files that are read and written by windows, see ``--help``."""
    return {item.key for item in items if item.row is None and _is_by_windows(Path(item.path), args)}


def _is_by_windows(path: Path, args: argparse.Namespace) -> bool:
    from zoo.images.rasters import has_rasterio
    from zoo.images.tiff_tags import read_tags

    tags = read_tags(path) if path.is_file() else None
    if tags is None or (not tags.georeferenced and (args.tile is None or math.prod(tags.size) <= _LARGE)):
        return False
    if args.tile is not None and (has_rasterio() or math.prod(tags.size) > _LARGE):
        return True
    lacking = "--tile" if has_rasterio() else "--tile and pip install 'atrous-zoo[geo]'"
    notes.note(f"{path}: its place on the map is not kept in PNG files; it is with {lacking}")
    return False


def names_of(
    items: Sequence[Item], folder: Path, by_windows: Collection[str], *, known: Mapping[str, str]
) -> list[str]:
    """A name in the output folder for each image: none twice, none whose files would replace an image.

    Those that are `known` by their keys, of an earlier run, keep theirs.
    """
    taken = {item.key.casefold() for item in items}
    for name in known.values():
        taken |= _targets(folder, name, ".png") | _targets(folder, name, ".tif")
    names = []
    for item in items:
        if item.key in known:
            names.append(known[item.key])
            continue
        number, name = 1, item.stem
        suffix = ".tif" if item.key in by_windows else ".png"
        while not taken.isdisjoint(_targets(folder, name, suffix)):
            number += 1
            name = f"{item.stem}-{number}"
        taken |= _targets(folder, name, suffix)
        names.append(name)
    return names


def _targets(folder: Path, name: str, suffix: str) -> set[str]:
    """Files of that name, spelled alike for file systems that do not tell upper from lower case."""
    folder = folder.resolve()
    return {str(folder / f"{name}_{kind}{suffix}").casefold() for kind in ("overlay", "mask")}
