"""Published tensors to arrays of our variables: strict in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from zoo.weights.name_maps.base import NameMap, Rule, Settings, arrays_of, raise_mismatch, summarize
from zoo.weights.name_maps.parts import absent_layers, rules_by_layer


class Fit(NamedTuple):
    """What a name map makes of the tensors of a file that it fits.

    Attributes:
        rules: One for each variable that the file has a tensor for.
        settings: What the file itself states for the builder.
        absent: Our layers that the file has nothing of.
    """

    rules: list[Rule]
    settings: Settings
    absent: tuple[str, ...] = ()


def fit(source: Mapping[str, np.ndarray], name_map: NameMap, *, partial: bool = False) -> Fit:
    """Match the tensors of a file with a map; nothing is converted yet.

    Args:
        source: The tensors of a file by name.
        name_map: Which tensor is which variable.
        partial: Whether a file without its classifier, without all of its head, or with a part of an
            optional part fits too (`zoo.weights.name_maps.parts`).

    Raises:
        MismatchError: A tensor that the map names is absent, one of the source is left over, or the file
            states what contradicts itself.
    """
    names = frozenset(source)
    absent = absent_layers(name_map, names) if partial else ()
    rules = _present(rules_by_layer(name_map, names), absent)
    extra = _present(rules_by_layer(name_map, names, optional=True), absent)
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
    wrong = [n for n, shape in name_map.reshaped.items() if n in names and source[n].size != np.prod(shape)]
    raise_mismatch(_subject(name_map), summarize("of other sizes", wrong))
    return Fit(rules, name_map.settings(source) if name_map.settings else {}, absent)


def _present(rules: Mapping[str, list[Rule]], absent: tuple[str, ...]) -> list[Rule]:
    return [rule for layer, own in rules.items() if layer not in absent for rule in own]


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
    rules, settings, _ = fitted or fit(source, name_map)
    reshaped = {n: np.reshape(source[n], shape) for n, shape in name_map.reshaped.items() if n in source}
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
