"""Images with masks: readers of the usual layouts, checks, and batches for training.

Only `batches` imports TensorFlow, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.check import check
from zoo.datasets.dataset import Dataset
from zoo.datasets.readers import KINDS, open_dataset

if TYPE_CHECKING:
    from zoo.datasets.stream import batches as batches

__all__ = ["KINDS", "Augmentation", "Dataset", "batches", "check", "open_dataset"]


def __getattr__(name: str):
    if name == "batches":
        return importlib.import_module("zoo.datasets.stream").batches
    raise AttributeError(f"module 'zoo.datasets' has no attribute {name!r}")
