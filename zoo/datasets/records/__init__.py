"""Data sets as shards of TFRecord: images as their original bytes, masks as PNG, and an index beside them.

A shard is a file that any reader of TFRecord reads; its records are ``tf.train.Example`` with the features of
`zoo.datasets.records.example`. The index says where each record stands, so that samples are read in any order
and a run goes on at any step. This package loads no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.datasets.records.packing import Packed, pack
    from zoo.datasets.records.verification import verify

_HOMES = {
    "Packed": "zoo.datasets.records.packing",
    "pack": "zoo.datasets.records.packing",
    "verify": "zoo.datasets.records.verification",
}

__all__ = ["Packed", "pack", "verify"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
