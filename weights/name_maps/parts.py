"""Files that hold a part of a network: which of its layers may be absent, so that the model's are fresh."""

from __future__ import annotations

from collections.abc import Collection

from zoo.weights.name_maps.base import RULES, NameMap, Rule

BACKBONE, CLASSIFIER = "backbone", "classifier"


def _is_classifier(layer: str) -> bool:
    return CLASSIFIER in layer.split(".")


def _is_head(layer: str) -> bool:
    return layer.split(".")[0] != BACKBONE


def rules_by_layer(
    name_map: NameMap, names: frozenset[str], *, optional: bool = False
) -> dict[str, list[Rule]]:
    """The rules of each layer of a map, or of its optional part, for a file with tensors of these names."""
    layers = name_map.optional if optional else name_map.layers
    return {ours: list(RULES[name_map.layout](ours, theirs, names)) for ours, theirs in layers.items()}


def absent_layers(name_map: NameMap, names: frozenset[str]) -> tuple[str, ...]:
    """Our layers of which a file has nothing, where it is whole but for them; else none.

    What may be absent is the classifier, or all that stands on the backbone; and layers of an optional part
    of which there are others.
    """
    if not name_map.is_whole or name_map.layout == "zoo":
        return ()
    layers = rules_by_layer(name_map, names)
    absent = [layer for layer, rules in layers.items() if not any(rule.source in names for rule in rules)]
    allowed = ([], list(filter(_is_classifier, layers)), list(filter(_is_head, layers)))
    if absent not in allowed or absent == list(layers):
        return ()
    optional = rules_by_layer(name_map, names, optional=True)
    gone = [layer for layer, rules in optional.items() if not any(rule.source in names for rule in rules)]
    return (*absent, *(gone if len(gone) < len(optional) else ()))


def described(absent: Collection[str]) -> str:
    """What a file lacks, in words."""
    required = [layer for layer in absent if layer.split(".")[0] != "auxiliary"]
    parts = []
    if required:
        parts.append("classifier" if all(map(_is_classifier, required)) else "head")
    if len(required) < len(absent):
        parts.append("whole auxiliary head")
    return " and no ".join(parts)
