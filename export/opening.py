"""Runs exported artifacts of any format, each with its own runtime and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import InputError
from zoo.export.core.artifact import Artifact, Port

__all__ = ["Artifact", "Port", "is_artifact", "open_artifact"]


def open_artifact(path: str | os.PathLike, *, threads: int = 2) -> Artifact:
    """Open a SavedModel folder, a ``.tflite`` or an ``.onnx`` file that the zoo exported.

    Labels, input size and layout come from the artifact's own metadata; the normalization of images is part
    of its graph.

    Args:
        path: Of the artifact.
        threads: For TFLite and ONNX; TensorFlow's threads are a setting of the process.

    Returns:
        An `Artifact`: ``.predict(images)``, ``.labels``, ``.input_size``, ``.format``.

    Raises:
        InputError: No such file, or a name that is none of the three formats.
        FormatError: A damaged artifact, or one without the zoo's metadata.
    """
    path = Path(path)
    if not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a positive integer, not {threads!r}")
    if not path.exists():
        raise InputError(f"there is no artifact {str(path)!r}")
    if (path / "saved_model.pb").is_file():
        from zoo.export.saved_model.artifact import SavedModelArtifact

        return SavedModelArtifact(path)
    if path.is_file() and path.suffix == ".tflite":
        from zoo.export.tflite.artifact import TFLiteArtifact

        return TFLiteArtifact(path, threads=threads)
    if path.is_file() and path.suffix == ".onnx":
        from zoo.export.onnx.artifact import ONNXArtifact

        return ONNXArtifact(path, threads=threads)
    raise InputError(f"{path} is no .tflite file, .onnx file or SavedModel folder")


def is_artifact(model: str | os.PathLike) -> bool:
    """Whether that is the path of an artifact, by its suffix or as a folder; else it names a model."""
    path = Path(model)
    return path.suffix in (".tflite", ".onnx") or (path / "saved_model.pb").is_file()
