"""Smaller models: pruning, clustering and quantization-aware training, with or without a teacher.

The methods are those of TensorFlow Model Optimization, which speaks tf_keras: a model is rebuilt there layer
by layer, fine-tuned, and carried back. Importing this package loads neither; both come with
``pip install "atrous-zoo[compression]"``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.compression.bridge import Bridge, register_translation, to_tf_keras
    from zoo.compression.clustering import ClusteringConfig, cluster
    from zoo.compression.compressed import Compressed
    from zoo.compression.distillation import Distillation
    from zoo.compression.pruning import PruningConfig, prune
    from zoo.compression.quantization import quantize, to_tflite
    from zoo.compression.selection import sparsity
    from zoo.compression.training import FineTuning as FineTuning

_HOMES = {
    "Bridge": "zoo.compression.bridge",
    "ClusteringConfig": "zoo.compression.clustering",
    "Compressed": "zoo.compression.compressed",
    "Distillation": "zoo.compression.distillation",
    "FineTuning": "zoo.compression.training",
    "PruningConfig": "zoo.compression.pruning",
    "cluster": "zoo.compression.clustering",
    "prune": "zoo.compression.pruning",
    "quantize": "zoo.compression.quantization",
    "register_translation": "zoo.compression.bridge",
    "sparsity": "zoo.compression.selection",
    "to_tf_keras": "zoo.compression.bridge",
    "to_tflite": "zoo.compression.quantization",
}

__all__ = [
    "Bridge",
    "ClusteringConfig",
    "Compressed",
    "Distillation",
    "FineTuning",
    "PruningConfig",
    "cluster",
    "prune",
    "quantize",
    "register_translation",
    "sparsity",
    "to_tf_keras",
    "to_tflite",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
