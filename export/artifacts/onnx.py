"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from zoo.errors import FormatError
from zoo.export.artifacts.base import Artifact, Port
from zoo.export.metadata import KEY, Metadata, missing

_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}
_ERRORS_ONLY = 3


def _port(argument) -> Port:
    return Port(argument.name, tuple(argument.shape), _TYPES.get(argument.type, argument.type))


def _session(content: bytes, *, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class ONNXArtifact(Artifact):
    """See `zoo.export.open_artifact`."""

    format = "onnx"

    def __init__(self, path: Path, *, threads: int):
        self.path = path
        content = path.read_bytes()
        try:
            self._model = onnx.load_model_from_string(content)
            self._session = _session(content, threads=threads)
        # Each of protobuf and ONNX Runtime has a family of errors of its own, without a common base.
        except Exception as error:
            raise FormatError(f"{path} cannot be loaded as an ONNX file: {error}") from error
        properties = {entry.key: entry.value for entry in self._model.metadata_props}
        if KEY not in properties:
            raise missing(path)
        self.metadata = Metadata.from_json(properties[KEY], path=path)
        self.inputs = tuple(map(_port, self._session.get_inputs()))
        self.outputs = tuple(map(_port, self._session.get_outputs()))
        versions = {entry.domain: entry.version for entry in self._model.opset_import}
        self.opset = versions.get("", versions.get("ai.onnx"))

    def _run(self, batch: np.ndarray) -> np.ndarray:
        if self.input_size:  # static files take one image at a time
            return np.concatenate([self._run_once(image[None]) for image in batch])
        return self._run_once(batch)

    def _run_once(self, batch: np.ndarray) -> np.ndarray:
        channels_first = self.metadata.layout == "nchw"
        if channels_first:
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        (output,) = self._session.run([self.outputs[0].name], {self.inputs[0].name: batch})
        return output.transpose(0, 2, 3, 1) if channels_first and output.ndim == 4 else output

    def operations(self) -> dict[str, int]:
        """Node types of the graph as stored, before ONNX Runtime optimizes it."""
        return dict(Counter(node.op_type for node in self._model.graph.node).most_common())
