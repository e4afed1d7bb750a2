"""Exports to SavedModel, TFLite and ONNX that are proven equal to their model.

Importing this package loads no TensorFlow, and neither does running a TFLite or an ONNX artifact.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "to_saved_model": "zoo.export.formats",
    "to_tflite": "zoo.export.formats",
    "to_onnx": "zoo.export.formats",
    "verify": "zoo.export.formats",
    "find_difference": "zoo.export.formats",
    "bench": "zoo.export.timing.bench",
    "open_artifact": "zoo.export.artifacts",
    "Artifact": "zoo.export.artifacts",
    "ExportReport": "zoo.export.report",
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
