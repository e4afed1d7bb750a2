"""TFLite and ONNX files of the zoo, run by OpenVINO."""

from __future__ import annotations

import threading

import numpy as np

from zoo.export.core.artifact import Artifact
from zoo.export.openvino.engine import compiled


class OpenVINOArtifact(Artifact):
    """An opened artifact whose images OpenVINO computes; its description is the artifact's own.

    Args:
        own: Of a format that OpenVINO reads, opened with the format's own runtime.
        threads: Of OpenVINO.

    Raises:
        InputError: A format that OpenVINO does not read, or it is not installed.
        FormatError: OpenVINO cannot load the file.
    """

    def __init__(self, own: Artifact, *, threads: int):
        self._own, self._lock = own, threading.Lock()
        self._compiled = compiled(own.path, threads=threads)
        self.format, self.path, self.metadata = own.format, own.path, own.metadata
        self.inputs, self.outputs, self.opset = own.inputs, own.outputs, own.opset

    def _run(self, batch: np.ndarray) -> np.ndarray:
        # A request keeps the values of a call in itself.
        with self._lock:
            return np.concatenate([self._once(image[None]) for image in batch])

    def _once(self, image: np.ndarray) -> np.ndarray:
        return self._own.real(self._compiled(self._own.stored(image))[0])

    def operations(self) -> dict[str, int]:
        """Operations of the file as stored."""
        return self._own.operations()
