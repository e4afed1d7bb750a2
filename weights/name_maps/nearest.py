"""What a file that fits no name map is nearest to, for the message about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from zoo.errors import MismatchError
from zoo.weights.name_maps.base import RULES, NameMap
from zoo.weights.name_maps.conversion import fit

_FIRST = 4  # names that are shown of a file that is like nothing


class Near(NamedTuple):
    """How near a file is to a map.

    Attributes:
        share: Of the names of both, those that both have.
        prefix: What all names of the file begin with, and the map's do not.
        name_map: The map.
    """

    share: float
    prefix: str
    name_map: NameMap


def common_prefix(names: Iterable[str]) -> str:
    """The words, with their dots, that all names begin with: ``"module."``, or ``""``."""
    parts = [name.split(".")[:-1] for name in names]
    shared = []
    for words in zip(*parts, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return "".join(f"{word}." for word in shared)


def _share(names: frozenset[str], name_map: NameMap) -> float:
    layers = {**name_map.layers, **name_map.optional}.items()
    known = {r.source for ours, theirs in layers for r in RULES[name_map.layout](ours, theirs, names)}
    required = {r.source for o, t in name_map.layers.items() for r in RULES[name_map.layout](o, t, names)}
    matter = {n for n in names if not any(fnmatchcase(n, pattern) for pattern in name_map.ignored)}
    return len(matter & known) / max(1, len(matter | required))


def nearest(names: Iterable[str], maps: Iterable[NameMap]) -> Near | None:
    """The map that a file is nearest to, with or without what all its names begin with; `None` for none."""
    plain = frozenset(names)
    prefix = common_prefix(plain)
    forms = {"": plain, prefix: frozenset(name.removeprefix(prefix) for name in plain)}
    found = [Near(_share(form, row), cut, row) for row in maps for cut, form in forms.items()]
    best = max(found, key=lambda near: near.share, default=None)
    return best if best is not None and best.share else None


def difference(source: Mapping[str, np.ndarray], near: Near) -> str:
    """How a file differs from a map that it is near to."""
    told = f"all its names begin with {near.prefix!r}; without that, " if near.prefix else ""
    try:
        fit({name.removeprefix(near.prefix): array for name, array in source.items()}, near.name_map)
    except MismatchError as error:
        return f"{told}{error}"
    return f"{told}it fits name map {near.name_map.key!r}"


def unlike(names: Iterable[str], maps: Iterable[NameMap]) -> str:
    """The same of a file of which no map knows a name."""
    known = ", ".join(row.key for row in maps)
    shown = ", ".join(repr(name[:80]) for name in list(names)[:_FIRST])
    return f"no name map knows any of its tensors ({shown or 'it has none'}); tried: {known}"
