"""Labels of annotation tools become index masks that the kind ``folder`` reads.

A format is a module with ``read(root, settings)``, which gives pictures with regions or with masks
(`zoo.datasets.convert.model`); `zoo.datasets.convert.formats` lists them. What pixels a shape covers is said
in `zoo.datasets.convert.areas`, who has a pixel that several want in `painting`; `conversion` writes the
folder.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.datasets.convert.conversion import Conversion, convert
    from zoo.datasets.convert.formats import FORMATS

_HOMES = {
    "Conversion": "zoo.datasets.convert.conversion",
    "FORMATS": "zoo.datasets.convert.formats",
    "convert": "zoo.datasets.convert.conversion",
}

__all__ = ["FORMATS", "Conversion", "convert"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
