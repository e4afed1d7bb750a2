"""Which name maps a user's file fits, and what it is told where none does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import numpy as np

from zoo.errors import MismatchError
from zoo.weights import catalog, name_maps
from zoo.weights.containers import Container
from zoo.weights.layouts import LAYOUTS
from zoo.weights.name_maps import NameMap
from zoo.weights.name_maps.conversion import Fit, fit
from zoo.weights.name_maps.nearest import difference, nearest, unlike
from zoo.weights.name_maps.own import ZOO
from zoo.weights.name_maps.parts import described


def fits_of(
    tensors: Mapping[str, np.ndarray],
    maps: tuple[NameMap, ...],
    container: Container,
    *,
    file: str,
    partial: bool = False,
) -> dict[str, Fit]:
    """What the maps that fit a file make of it, by their keys.

    Args:
        tensors: Those of the file by name.
        maps: The maps of a model.
        container: The kind of file.
        file: Name of the file, for messages.
        partial: Whether a file may lack its classifier, its head, or some of an auxiliary head, where no map
            fits as a whole.

    Raises:
        MismatchError: None fits; says which is the nearest, and what differs.
    """
    found = _fits(tensors, maps)
    if found:
        return found
    found = _fits(tensors, maps, partial=True)
    if not found:
        raise MismatchError(f"{file}: {_unfit(tensors, maps, container)}")
    if not partial:
        key, first = next(iter(found.items()))
        raise MismatchError(
            f"{file}: has no {described(first.absent)}, and fits name map {key!r} but for that; classes=… "
            "loads what there is, and makes the rest fresh"
        )
    return found


def _fits(
    tensors: Mapping[str, np.ndarray], maps: Iterable[NameMap], *, partial: bool = False
) -> dict[str, Fit]:
    found = {}
    for name_map in maps:
        with contextlib.suppress(MismatchError):
            found[name_map.key] = fit(tensors, name_map, partial=partial)
    return found


def _unfit(tensors: Mapping[str, np.ndarray], maps: tuple[NameMap, ...], container: Container) -> str:
    """Why a file fits none of the maps of a model: told by the nearest, and by that of another model."""
    own = nearest(tensors, maps)
    told = unlike(tensors, maps) if own is None else difference(tensors, own)
    others = [row for row in name_maps.NAME_MAPS.values() if row.layout in container.layouts]
    near = nearest(tensors, [row for row in others if row.layout != ZOO.layout])
    if near is None or (own is not None and near.share <= own.share):
        return told
    models = ", ".join(_models_with(near.name_map.key))
    return f"{told}; its names are nearer to name map {near.name_map.key!r}, of {models or 'no model'}"


def _models_with(key: str) -> list[str]:
    """The models, or backbones, whose files a map converts."""
    published = [entry.model for entry in catalog.ENTRIES if entry.name_map == key]
    usual = [model for model, rows in LAYOUTS.items() if key in [row.name_map for row in rows]]
    return list(dict.fromkeys([*published, *usual]))
