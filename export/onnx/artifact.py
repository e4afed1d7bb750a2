"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from zoo.errors import FormatError
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.metadata import KEY, Metadata, missing, one_line
from zoo.export.core.onnx_model import parsed
from zoo.export.onnx.external import check_inside

_TYPES = {
    "tensor(float)": "float32",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(int64)": "int64",
}
_ERRORS_ONLY = 3
_MOVING = (
    "QuantizeLinear",
    "DequantizeLinear",
    "Cast",
    "Transpose",
    "Reshape",
    "Slice",
    "Pad",
    "DepthToSpace",
)


def _port(argument) -> Port:
    return Port(argument.name, tuple(argument.shape), _TYPES.get(argument.type, argument.type))


def session_of(content: bytes, *, threads: int, optimize: bool = True) -> onnxruntime.InferenceSession:
    """A session on the CPU; without `optimize` every node computes what it says, in float where it does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_once(session: onnxruntime.InferenceSession, batch: np.ndarray, *, channels_first: bool) -> np.ndarray:
    """Run on ``(batch, height, width, 3)`` in 0…255, rounded where the graph takes bytes; result in NHWC."""
    (source,), (target,) = session.get_inputs(), session.get_outputs()
    batch = _to_stored(batch, as_bytes=source.type == "tensor(uint8)", channels_first=channels_first)
    (output,) = session.run([target.name], {source.name: batch})
    return _to_real(output, channels_first=channels_first)


def _to_stored(batch: np.ndarray, *, as_bytes: bool, channels_first: bool) -> np.ndarray:
    batch = np.clip(np.rint(batch), 0, 255).astype(np.uint8) if as_bytes else batch.astype(np.float32)
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2) if channels_first else batch)


def _to_real(output: np.ndarray, *, channels_first: bool) -> np.ndarray:
    return output.transpose(0, 2, 3, 1) if channels_first and output.ndim == 4 else output


def float_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes of a quantized graph that compute in floating point, in the order of execution.

    ONNX Runtime computes a node in integers where all it reads comes from DequantizeLinear and all it gives
    goes to QuantizeLinear. Nodes that only convert or move values do not count.
    """
    constants = {tensor.name for tensor in graph.initializer}
    makers = {name: node.op_type for node in graph.node for name in node.output}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)

    def in_integers(node: onnx.NodeProto) -> bool:
        read = {makers.get(name) for name in node.input if name and name not in constants}
        given = set().union(*(readers.get(name, {None}) for name in node.output))
        return read == {"DequantizeLinear"} and given == {"QuantizeLinear"}

    return [node for node in graph.node if node.op_type not in _MOVING and not in_integers(node)]


class ONNXArtifact(Artifact):
    """See `zoo.export.open_artifact`."""

    format = "onnx"

    def __init__(self, path: Path, *, threads: int):
        self.path = path
        content = path.read_bytes()
        try:
            self._model = parsed(content)
            check_inside(self._model)
            self._session = session_of(content, threads=threads)
        # Each of protobuf and ONNX Runtime has a family of errors of its own, without a common base.
        except Exception as error:
            raise FormatError(f"{path} cannot be loaded as an ONNX file: {one_line(error)}") from error
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
            return np.concatenate([self._once(image[None]) for image in batch])
        return self._once(batch)

    def _once(self, batch: np.ndarray) -> np.ndarray:
        return run_once(self._session, batch, channels_first=self._channels_first)

    @property
    def _channels_first(self) -> bool:
        return self.metadata.layout == "nchw"

    def stored(self, batch: np.ndarray) -> np.ndarray:
        """See `Artifact.stored`."""
        as_bytes = self.inputs[0].dtype == "uint8"
        return _to_stored(batch, as_bytes=as_bytes, channels_first=self._channels_first)

    def real(self, output: np.ndarray) -> np.ndarray:
        """See `Artifact.real`."""
        return _to_real(output, channels_first=self._channels_first)

    def operations(self) -> dict[str, int]:
        """Node types of the graph as stored, before ONNX Runtime optimizes it."""
        return dict(Counter(node.op_type for node in self._model.graph.node).most_common())
