"""Exports to SavedModel, TFLite and ONNX that are proven equal to their model.

Importing this package loads no TensorFlow, and neither does running a TFLite or an ONNX artifact.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "to_saved_model": "zoo.export.publish",
    "to_tflite": "zoo.export.publish",
    "to_onnx": "zoo.export.publish",
    "verify": "zoo.export.publish",
    "find_difference": "zoo.export.publish",
    "bench": "zoo.export.timing.bench",
    "open_artifact": "zoo.export.opening",
    "Artifact": "zoo.export.opening",
    "ExportReport": "zoo.export.core.report",
    "Parity": "zoo.export.proof.parity",
}

__all__ = [
    "Artifact",
    "ExportReport",
    "Parity",
    "bench",
    "find_difference",
    "open_artifact",
    "to_onnx",
    "to_saved_model",
    "to_tflite",
    "verify",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
