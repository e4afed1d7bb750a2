"""Files with named ends and a description inside, run by LiteRT or ONNX Runtime without TensorFlow."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.export.core.onnx_model import parsed
from zoo.files import check_local


class RunnableFile(ABC):
    """A file of a model with several inputs and outputs.

    Attributes:
        path: The file.
        text: What it says of itself.
        taken: Shape and type of each input, by name.
        given: Of each output.
    """

    path: Path
    text: bytes | str
    taken: Mapping[str, tuple[tuple[int, ...], str]]
    given: Mapping[str, tuple[tuple[int, ...], str]]

    @abstractmethod
    def run(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of inputs, both by name."""

    @abstractmethod
    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""

    @abstractmethod
    def weights(self) -> dict[str, int]:
        """How many numbers of each type the file holds as constants."""

    def check_ends(self, taken: Mapping[str, tuple], given: Mapping[str, tuple]) -> None:
        """Raise a `FormatError` for a file whose ends are others than its description says."""
        if (dict(self.taken), dict(self.given)) != (dict(taken), dict(given)):
            raise FormatError(
                f"{self.path} takes {dict(self.taken)} and gives {dict(self.given)}, "
                f"but says {dict(taken)} and {dict(given)}"
            )


class TFLiteFile(RunnableFile):
    """A ``.tflite`` file; calls from several threads take turns."""

    def __init__(self, path: Path, *, key: str, threads: int):
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter

        self.path, self._lock = path, threading.Lock()
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
        self._reader = schema.Model.GetRootAs(content)
        self.text = _embedded(self._reader, key, path)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._places = {end["name"]: end["index"] for end in (*inputs, *outputs)}
        self.taken, self.given = (
            {e["name"]: (tuple(map(int, e["shape"])), np.dtype(e["dtype"]).name) for e in ends}
            for ends in (inputs, outputs)
        )

    def run(self, values):
        with self._lock:
            for name, value in values.items():
                self._interpreter.set_tensor(self._places[name], value)
            self._interpreter.invoke()
            return {name: self._interpreter.get_tensor(self._places[name]) for name in self.given}

    def operations(self) -> dict[str, int]:
        from zoo.export.tflite.artifact import operator_name

        reader = self._reader
        names = [operator_name(reader.OperatorCodes(i)) for i in range(reader.OperatorCodesLength())]
        graph = reader.Subgraphs(0)
        used = [names[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]
        return dict(Counter(used).most_common())

    def weights(self) -> dict[str, int]:
        from ai_edge_litert import schema_py_generated as schema

        names = {value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()}
        graph, found = self._reader.Subgraphs(0), Counter()
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            if self._reader.Buffers(tensor.Buffer()).DataLength():
                found[names[tensor.Type()]] += int(np.prod(tensor.ShapeAsNumpy()))
        return dict(found)


class OnnxFile(RunnableFile):
    """An ``.onnx`` file."""

    def __init__(self, path: Path, *, key: str, threads: int):
        import onnxruntime

        self.path = path
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
        self.text = self._session.get_modelmeta().custom_metadata_map.get(key, "")
        self.taken, self.given = (
            {end.name: (tuple(end.shape), _TYPES.get(end.type, end.type)) for end in ends}
            for ends in (self._session.get_inputs(), self._session.get_outputs())
        )

    def run(self, values):
        names = list(self.given)
        return dict(zip(names, self._session.run(names, dict(values)), strict=True))

    def operations(self) -> dict[str, int]:
        return dict(Counter(node.op_type for node in self._graph.node).most_common())

    def weights(self) -> dict[str, int]:
        import onnx

        found = Counter()
        for tensor in self._graph.initializer:
            name = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).name
            found[name] += int(np.prod(tensor.dims))
        return dict(found)


_TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32"}
_KINDS = {".tflite": TFLiteFile, ".onnx": OnnxFile}
SUFFIXES = tuple(_KINDS)


def open_file(path: str | Path, *, key: str, what: str, threads: int) -> RunnableFile:
    """Open a file by its suffix.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        key: Of the entry that holds its description.
        what: It should hold, in the plural, for messages.
        threads: Of the runtime.

    Raises:
        InputError: No such file, or another suffix.
        FormatError: A file that cannot be loaded.
    """
    path = check_local(path)
    if path.suffix not in _KINDS:
        raise InputError(f"{what} are in files named {' or '.join(_KINDS)}, not {path.name!r}")
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return _KINDS[path.suffix](path, key=key, threads=threads)


def _embedded(reader, key: str, path: Path) -> bytes:
    """The entry of the description; nothing where there is none."""
    for index in range(reader.MetadataLength()):
        entry = reader.Metadata(index)
        if entry.Name() == key.encode() and entry.Buffer() < reader.BuffersLength():
            buffer = reader.Buffers(entry.Buffer())
            if buffer.DataLength():
                return buffer.DataAsNumpy().tobytes()
    return b""
