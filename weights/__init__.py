"""Published weights: the catalog, download and cache, containers of files, and maps of names.

Importing this package is light; what a name needs is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.weights import cache, catalog, fetch, name_maps
    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.containers import CONTAINERS, Container, register_container, unregister_container
    from zoo.weights.entry import WeightsEntry
    from zoo.weights.name_maps import NAME_MAPS, NameMap

_HOMES = {
    "CONTAINERS": "zoo.weights.containers",
    "Checkpoint": "zoo.weights.checkpoint",
    "Container": "zoo.weights.containers",
    "NAME_MAPS": "zoo.weights.name_maps",
    "NameMap": "zoo.weights.name_maps",
    "WeightsEntry": "zoo.weights.entry",
    "register_container": "zoo.weights.containers",
    "unregister_container": "zoo.weights.containers",
}
_MODULES = ("cache", "catalog", "fetch", "name_maps")

__all__ = [
    "CONTAINERS",
    "NAME_MAPS",
    "Checkpoint",
    "Container",
    "NameMap",
    "WeightsEntry",
    "cache",
    "catalog",
    "fetch",
    "name_maps",
    "register_container",
    "unregister_container",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"zoo.weights.{name}")
    raise AttributeError(f"module 'zoo.weights' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
