"""Semantic segmentation with dilated convolutions for Keras and TensorFlow.

``import zoo`` is light: TensorFlow is imported when a model is built or an image segmented.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# An installed package holds `zoo.weights` and `zoo.export`. In a source checkout the two folders stand
# beside this one, and Python started there would find this folder first and miss them.
if not os.path.isdir(os.path.join(__path__[0], "weights")):
    __path__.append(os.path.dirname(__path__[0]))

if TYPE_CHECKING:
    from zoo.evaluation import evaluate as evaluate
    from zoo.inference import segment as segment
    from zoo.loading import load as load
    from zoo.registry import ModelInfo as ModelInfo
    from zoo.registry import info as info
    from zoo.registry import list_models as list_models

_HOME = {
    "load": "zoo.loading",
    "segment": "zoo.inference",
    "evaluate": "zoo.evaluation",
    "list_models": "zoo.registry",
    "info": "zoo.registry",
    "ModelInfo": "zoo.registry",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
