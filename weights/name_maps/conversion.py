"""Published tensors to arrays of our variables: strict in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from zoo.weights.name_maps.base import (
    RULES,
    NameMap,
    Rule,
    Settings,
    arrays_of,
    raise_mismatch,
    summarize,
)


class Fit(NamedTuple):
    """What a name map makes of the tensors of a file that it fits.

    Attributes:
        rules: One for each variable that the file has a tensor for.
        settings: What the file itself states for the builder.
    """

    rules: list[Rule]
    settings: Settings


def fit(source: Mapping[str, np.ndarray], name_map: NameMap) -> Fit:
    """Match the tensors of a file with a map; nothing is converted yet.

    Raises:
        MismatchError: A tensor that the map names is absent, one of the source is left over, or the file
            states what contradicts itself.
    """
    names = frozenset(source)
    to_rules = RULES[name_map.layout]
    rules = [rule for layer, prefix in name_map.layers.items() for rule in to_rules(layer, prefix, names)]
    extra = [rule for layer, prefix in name_map.optional.items() for rule in to_rules(layer, prefix, names)]
    if any(rule.source in names for rule in extra):
        rules += extra
    used = [rule.source for rule in rules]
    wanted = {*used, *name_map.fixed}
    left = [n for n in source if n not in wanted and not any(fnmatchcase(n, p) for p in name_map.ignored)]
    raise_mismatch(
        _subject(name_map),
        summarize("missing in the file", [n for n in (*used, *name_map.fixed) if n not in names]),
        summarize("unknown in the file", left),
        summarize("used more than once", sorted(n for n in wanted if used.count(n) > 1)),
        summarize("of other values than the model computes", _unexpected(source, name_map)),
    )
    wrong = [n for n, shape in name_map.reshaped.items() if source[n].size != np.prod(shape)]
    raise_mismatch(_subject(name_map), summarize("of other sizes", wrong))
    return Fit(rules, name_map.settings(source) if name_map.settings else {})


def known_names(source: Mapping[str, np.ndarray], name_map: NameMap) -> int:
    """How many tensors of a file a map knows: by this the nearest map of a file that fits none is told."""
    names = frozenset(source)
    layers = {**name_map.layers, **name_map.optional}.items()
    rules = (rule for ours, theirs in layers for rule in RULES[name_map.layout](ours, theirs, names))
    return len(names & {rule.source for rule in rules})


def convert(
    source: Mapping[str, np.ndarray], name_map: NameMap, fitted: Fit | None = None
) -> dict[str, np.ndarray]:
    """Arrays by variable path; every source tensor is used once or listed as ignored.

    Args:
        source: The tensors of a file by name.
        name_map: Which tensor is which variable.
        fitted: What `fit` returned for the two, if it was asked already.

    Raises:
        MismatchError: The map does not fit, see `fit`.
    """
    rules, settings = fitted or fit(source, name_map)
    reshaped = {n: np.reshape(source[n], shape) for n, shape in name_map.reshaped.items()}
    arrays = arrays_of({**source, **reshaped}, rules)
    for pattern, transform in name_map.transforms.items():
        for path in [p for p in arrays if fnmatchcase(p, pattern)]:
            arrays[path] = transform(arrays[path], settings)
    return arrays


def _subject(name_map: NameMap) -> str:
    return f"the file does not fit name map {name_map.key!r}"


def _unexpected(source: Mapping[str, np.ndarray], name_map: NameMap) -> list[str]:
    """Tensors that must have certain values and have others."""
    found = {name: source[name] for name in name_map.fixed if name in source}
    return [n for n, a in found.items() if not np.allclose(a, name_map.fixed[n](a.shape), atol=1e-6)]
