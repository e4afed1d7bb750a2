"""TFLite files, run by LiteRT's interpreter."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from zoo.errors import FormatError
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.metadata import KEY, Metadata, missing, one_line

_IDENTIFIER = b"TFL3"
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def _port(details: dict) -> Port:
    shape = tuple(None if n < 0 else int(n) for n in details["shape_signature"])
    return Port(details["name"], shape, np.dtype(details["dtype"]).name)


def _embedded(model: schema.Model, path: Path) -> bytes:
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == KEY.encode():
            if entry.Buffer() >= model.BuffersLength() or not model.Buffers(entry.Buffer()).DataLength():
                break
            return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    raise missing(path)


def operator_name(code: schema.OperatorCode) -> str:
    """Name of an operation: a builtin's, or the text of a custom (or Flex) one."""
    # Files from before 128 builtins existed fill only the deprecated field.
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == schema.BuiltinOperator.CUSTOM:
        return code.CustomCode().decode()
    return _OPERATORS[builtin]


def float_operations(content: bytes) -> list[tuple[str, str]]:
    """Name and output tensor of each operation that computes in floating point, in the order of execution.

    Those that only convert between integers and floats do not count.
    """
    model = schema.Model.GetRootAs(content)
    found = []
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            name = operator_name(model.OperatorCodes(operator.OpcodeIndex()))
            output = graph.Tensors(operator.Outputs(0))
            if name != "DEQUANTIZE" and output.Type() in _FLOATS:
                found.append((name, output.Name().decode()))
    return found


def _to_stored(values: np.ndarray, details: dict) -> np.ndarray:
    """Values 0…255 as the tensor stores them: bytes as they are, other integers by scale and zero point."""
    dtype, (scale, zero_point) = details["dtype"], details["quantization"]
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    if dtype == np.uint8:
        scale, zero_point = 1, 0  # a normalization may be said by them
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / (scale or 1) + zero_point), limits.min, limits.max).astype(dtype)


def _to_real(values: np.ndarray, details: dict) -> np.ndarray:
    """The inverse of `_to_stored`, but for rounding; integers without a scale are what they are."""
    scale, zero_point = details["quantization"]
    if not scale:
        return values
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


def run_once(interpreter: Interpreter, image: np.ndarray) -> np.ndarray:
    """Run an allocated interpreter on ``(1, height, width, 3)`` in 0…255; real values whatever it stores."""
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(source["index"], _to_stored(image, source))
    interpreter.invoke()
    return _to_real(interpreter.get_tensor(target["index"]), target)


class TFLiteArtifact(Artifact):
    """See `zoo.export.open_artifact`."""

    format = "tflite"

    def __init__(self, path: Path, *, threads: int):
        self.path, self._lock = path, threading.Lock()
        content = path.read_bytes()
        if content[4:8] != _IDENTIFIER:
            raise FormatError(f"{path} is no TFLite file")
        try:
            # The interpreter first: it verifies the whole buffer, the generated accessors trust it.
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
            self._model = schema.Model.GetRootAs(content)
            self.inputs = tuple(map(_port, self._interpreter.get_input_details()))
            self.outputs = tuple(map(_port, self._interpreter.get_output_details()))
        except (ValueError, RuntimeError) as error:
            raise FormatError(f"{path} cannot be loaded as a TFLite file: {one_line(error)}") from error
        self.metadata = Metadata.from_json(_embedded(self._model, path), path=path)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        # An interpreter keeps the values of a call in itself.
        with self._lock:
            return np.concatenate([run_once(self._interpreter, image[None]) for image in batch])

    def stored(self, batch: np.ndarray) -> np.ndarray:
        """See `Artifact.stored`."""
        return _to_stored(batch, self._interpreter.get_input_details()[0])

    def real(self, output: np.ndarray) -> np.ndarray:
        """See `Artifact.real`."""
        return _to_real(output, self._interpreter.get_output_details()[0])

    def operations(self) -> dict[str, int]:
        """Operations of all subgraphs."""
        codes = [self._model.OperatorCodes(i) for i in range(self._model.OperatorCodesLength())]
        names = [operator_name(code) for code in codes]
        graphs = [self._model.Subgraphs(i) for i in range(self._model.SubgraphsLength())]
        counts = Counter(
            names[graph.Operators(i).OpcodeIndex()]
            for graph in graphs
            for i in range(graph.OperatorsLength())
        )
        return dict(counts.most_common())
