"""Images with masks: readers of the usual layouts, checks, and batches for training.

Only `batches` imports TensorFlow, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.check import DatasetReport, SplitReport, check
from zoo.datasets.dataset import Dataset
from zoo.datasets.listing import Layout, Listing
from zoo.datasets.readers import KINDS, LAYOUTS, open_dataset
from zoo.datasets.reading import Reading
from zoo.datasets.scan import Problem
from zoo.datasets.shrunk import Shrunk, shrink

if TYPE_CHECKING:
    from zoo.datasets.stream import batches as batches

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
    if name == "batches":
        return importlib.import_module("zoo.datasets.stream").batches
    raise AttributeError(f"module 'zoo.datasets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
