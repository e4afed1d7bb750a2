"""Builder settings that a file of weights may need, where the file itself does not say them.

Strides and rates leave every shape as it is, so shapes alone do not tell the settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from zoo.errors import MismatchError
from zoo.models.architectures.table import ARCHITECTURES
from zoo.models.registry import ModelSpec

# What `zoo.load` has arguments of its own for, or what is no matter of the weights.
OWN = ("label_set", "input_shape", "auxiliary", "name")
STRIDE = "output_stride"

Settings = Mapping[str, object]


def full_settings(spec: ModelSpec, *layers: Settings) -> dict[str, object]:
    """All settings of a model's builder, later layers over earlier ones, over its own, over the defaults."""
    parameters = inspect.signature(spec.build()).parameters
    merged = {name: p.default for name, p in parameters.items() if name not in OWN}
    for layer in (spec.settings, *layers):
        merged.update({name: value for name, value in layer.items() if name not in OWN})
    return merged


def known_settings(spec: ModelSpec, wanted: Settings) -> list[dict[str, object]]:
    """Distinct settings: the model's own, and those of the weights that there are for it.

    Args:
        spec: The model.
        wanted: What the caller asks for, which wins.
    """
    known = {}
    for settings in ({}, *(entry.settings for entry in spec.weights)):
        merged = full_settings(spec, settings, wanted)
        known.setdefault(repr(merged), merged)
    return list(known.values())


def at_all_strides(spec: ModelSpec, fitting: Sequence[Settings], wanted: Settings) -> list[Settings]:
    """The same at every output stride that the architecture has, unless the caller asked for one."""
    strides = ARCHITECTURES[spec.architecture].output_strides
    if STRIDE in wanted or len(strides) == 1:
        return list(fitting)
    spread = [{**settings, STRIDE: stride} for settings in fitting for stride in strides]
    return list({repr(sorted(settings.items(), key=str)): settings for settings in spread}.values())


def the_only(spec: ModelSpec, candidates: Sequence[Settings], *, file: str) -> Settings:
    """The candidate, if there is one; else `MismatchError` says which there are, and what decides."""
    if len(candidates) == 1:
        return candidates[0]
    values = {
        name: list(dict.fromkeys(repr(settings[name]) for settings in candidates)) for name in candidates[0]
    }
    open_ones = {name: found for name, found in values.items() if len(found) > 1}
    choices = "; ".join(f"{name} {' or '.join(found)}" for name, found in open_ones.items())
    others = ", ".join(f"{name!r}: …" for name in open_ones if name != STRIDE)
    arguments = [f"{STRIDE}=…"] * (STRIDE in open_ones) + [f"settings={{{others}}}"] * bool(others)
    raise MismatchError(
        f"{file}: its shapes fit several settings of {spec.name}, which compute different things: {choices}; "
        f"say which by {' and '.join(arguments)}"
    )
