"""TFLite files, run by LiteRT's interpreter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from zoo.errors import FormatError
from zoo.export.artifacts.base import Artifact, Port
from zoo.export.metadata import KEY, Metadata, missing

_IDENTIFIER = b"TFL3"
_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


def _port(details: dict) -> Port:
    shape = tuple(None if n < 0 else int(n) for n in details["shape_signature"])
    return Port(details["name"], shape, np.dtype(details["dtype"]).name)


def _embedded(model: schema.Model, path: Path) -> bytes:
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == KEY.encode():
            return model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    raise missing(path)


def operator_name(code: schema.OperatorCode) -> str:
    """Name of an operation: a builtin's, or the text of a custom (or Flex) one."""
    # Files from before 128 builtins existed fill only the deprecated field.
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == schema.BuiltinOperator.CUSTOM:
        return code.CustomCode().decode()
    return _OPERATORS[builtin]


class TFLiteArtifact(Artifact):
    """See `zoo.export.open_artifact`."""

    format = "tflite"

    def __init__(self, path: Path, *, threads: int):
        self.path = path
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
            raise FormatError(f"{path} cannot be loaded as a TFLite file: {error}") from error
        self.metadata = Metadata.from_json(_embedded(self._model, path), path=path)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([self._run_one(image[None]) for image in batch])

    def _run_one(self, image: np.ndarray) -> np.ndarray:
        interpreter = self._interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

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
