"""LiteRT and ONNX Runtime over a file of any lengths, with its description."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.export.core.onnx_model import parsed


class FileRuntime(ABC):
    """A file whose inputs may have any lengths.

    Attributes:
        text: What it says of itself under the key; `None` where it says nothing.
        ends: Names of inputs and outputs.
    """

    text: bytes | str | None
    ends: frozenset[str]

    @abstractmethod
    def run(self, values: Mapping[str, np.ndarray], output: str) -> np.ndarray:
        """One output of inputs by name."""

    @abstractmethod
    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""


class TFLiteRuntime(FileRuntime):
    """A ``.tflite`` file; calls from several threads take turns."""

    def __init__(self, path: Path, *, key: str, threads: int):
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter

        content = path.read_bytes()
        if content[4:8] != b"TFL3":
            raise FormatError(f"{path} is no TFLite file")
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            raise FormatError(f"{path} cannot be loaded as a TFLite file: {reason}") from error
        # Behind the interpreter, which verifies the whole buffer: the accessors trust it.
        self._reader, self._lock = schema.Model.GetRootAs(content), threading.Lock()
        self.text = _embedded(self._reader, key)
        ends = (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())
        self._places = {end["name"]: end["index"] for end in ends}
        self.ends = frozenset(self._places)

    def run(self, values, output):
        with self._lock:
            for name, value in values.items():
                self._interpreter.resize_tensor_input(self._places[name], value.shape)
            self._interpreter.allocate_tensors()
            for name, value in values.items():
                self._interpreter.set_tensor(self._places[name], value)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._places[output])

    def operations(self) -> dict[str, int]:
        from zoo.export.tflite.artifact import operator_name

        reader = self._reader
        names = [operator_name(reader.OperatorCodes(i)) for i in range(reader.OperatorCodesLength())]
        graph = reader.Subgraphs(0)
        used = [names[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]
        return dict(Counter(used).most_common())


class OnnxRuntime(FileRuntime):
    """An ``.onnx`` file."""

    def __init__(self, path: Path, *, key: str, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            # The bytes alone: a file has no business with others beside it.
            content = path.read_bytes()
            self._graph = parsed(content).graph
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime and protobuf have families of errors of their own
            reason = str(error).splitlines()[0][:300] if str(error) else "no reason given"
            raise FormatError(f"{path} cannot be loaded as an ONNX file: {reason}") from error
        self.text = self._session.get_modelmeta().custom_metadata_map.get(key)
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        self.ends = frozenset(end.name for end in ends)

    def run(self, values, output):
        return self._session.run([output], dict(values))[0]

    def operations(self) -> dict[str, int]:
        return dict(Counter(node.op_type for node in self._graph.node).most_common())


RUNTIMES = {".tflite": TFLiteRuntime, ".onnx": OnnxRuntime}


def _embedded(reader, key: str) -> bytes | None:
    for index in range(reader.MetadataLength()):
        entry = reader.Metadata(index)
        if entry.Name() == key.encode() and entry.Buffer() < reader.BuffersLength():
            buffer = reader.Buffers(entry.Buffer())
            if buffer.DataLength():
                return buffer.DataAsNumpy().tobytes()
    return None
