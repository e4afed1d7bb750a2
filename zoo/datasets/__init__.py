"""Images with masks: readers of the usual layouts, checks, and batches for training.

Importing this package is light; what a name needs is imported when it is first used, TensorFlow by `batches`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.datasets.augmentation import Augmentation
    from zoo.datasets.checking import DatasetReport, SplitReport, check
    from zoo.datasets.dataset import Dataset
    from zoo.datasets.listing import Layout, Listing
    from zoo.datasets.readers import KINDS, LAYOUTS, open_dataset
    from zoo.datasets.reading import Reading
    from zoo.datasets.scan import Problem
    from zoo.datasets.shrunk import Shrunk, shrink
    from zoo.datasets.stream import batches

_HOMES = {
    "Augmentation": "zoo.datasets.augmentation",
    "Dataset": "zoo.datasets.dataset",
    "DatasetReport": "zoo.datasets.checking",
    "KINDS": "zoo.datasets.readers",
    "LAYOUTS": "zoo.datasets.readers",
    "Layout": "zoo.datasets.listing",
    "Listing": "zoo.datasets.listing",
    "Problem": "zoo.datasets.scan",
    "Reading": "zoo.datasets.reading",
    "Shrunk": "zoo.datasets.shrunk",
    "SplitReport": "zoo.datasets.checking",
    "batches": "zoo.datasets.stream",
    "check": "zoo.datasets.checking",
    "open_dataset": "zoo.datasets.readers",
    "shrink": "zoo.datasets.shrunk",
}

__all__ = [
    "KINDS",
    "LAYOUTS",
    "Augmentation",
    "Dataset",
    "DatasetReport",
    "Layout",
    "Listing",
    "Problem",
    "Reading",
    "Shrunk",
    "SplitReport",
    "batches",
    "check",
    "open_dataset",
    "shrink",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
