"""Runs exported artifacts of any format, each with its own runtime and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import InputError
from zoo.export import formats
from zoo.export.core.artifact import Artifact, Port
from zoo.files import check_local

__all__ = ["Artifact", "Port", "is_artifact", "open_artifact"]


ENGINES = ("openvino",)


def open_artifact(path: str | os.PathLike, *, threads: int = 2, engine: str | None = None) -> Artifact:
    """Open a SavedModel folder, a ``.tflite`` or an ``.onnx`` file that the zoo exported.

    Labels, input size and layout come from the artifact's own metadata; the normalization of images is part
    of its graph. Formats of other software are opened as well, see `zoo.export.formats.register`.

    Args:
        path: Of the artifact.
        threads: For TFLite and ONNX; TensorFlow's threads are a setting of the process.
        engine: ``"openvino"`` runs a TFLite or ONNX file; `None`: the format's own runtime.

    Returns:
        An `Artifact`: ``.predict(images)``, ``.labels``, ``.input_size``, ``.format``.

    Raises:
        InputError: No such file, a name that is none of the formats, or an engine that is not installed or
            does not read the format.
        FormatError: A damaged artifact, or one without the zoo's metadata.
    """
    path = check_local(path)
    if not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a positive integer, not {threads!r}")
    check_engine(engine)
    artifact = formats.at(path).load("artifact")(path, threads=threads)
    if engine is None:
        return artifact
    from zoo.export.openvino.artifact import OpenVINOArtifact

    return OpenVINOArtifact(artifact, threads=threads)


def check_engine(engine: str | None) -> None:
    """Raise an `InputError` for a name of none of `ENGINES`."""
    if engine is not None and engine not in ENGINES:
        raise InputError(f"engine must be None or one of {', '.join(ENGINES)}, not {engine!r}")


def is_artifact(model: str | os.PathLike) -> bool:
    """Whether that is the path of an artifact, by its suffix or as a folder; else it names a model."""
    return any(row.shape.named(Path(model)) for row in formats.rows("artifact"))
