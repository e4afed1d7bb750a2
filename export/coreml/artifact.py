"""Core ML packages, run by the interpreter of this folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.metadata import KEY, Metadata, missing
from zoo.export.coreml.interpreter import Interpreter

_UNCOUNTED = ("const",)
_ELEMENTS = {65568: "float32", 65552: "float16", 131104: "int32"}


def _port(feature) -> Port:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        return Port(feature.name, (1, 3, int(image.height), int(image.width)), "uint8")
    array = feature.type.multiArrayType
    return Port(
        feature.name, tuple(int(n) for n in array.shape), _ELEMENTS.get(array.dataType, str(array.dataType))
    )


class CoreMLArtifact(Artifact):
    """See `zoo.export.open_artifact`; predictions are interpreted, not run on Apple hardware."""

    format = "coreml"

    def __init__(self, path: Path, *, threads: int):
        """Read the package; NumPy's threads are a setting of the process."""
        self.path = path
        self.interpreter = Interpreter(path)
        description = self.interpreter.package.description
        self.properties = dict(description.metadata.userDefined)
        if KEY not in self.properties:
            raise missing(path)
        self.metadata = Metadata.from_json(self.properties[KEY], path=path)
        self.inputs = tuple(map(_port, description.input))
        self.outputs = tuple(map(_port, description.output))
        package, size = self.interpreter.package, self.metadata.input_size
        if len(package.inputs) != 1 or package.outputs != (self.metadata.output_name,) or size is None:
            raise FormatError(f"{path} is not the program that its metadata describe")

    def as_input(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """One image ``(1, height, width, 3)`` as the program takes it: bytes of a picture."""
        pixels = np.clip(np.rint(batch), 0, 255).astype(np.float32)
        return {self.interpreter.package.inputs[0]: pixels.transpose(0, 3, 1, 2)}

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([self._once(image[None]) for image in batch])

    def _once(self, image: np.ndarray) -> np.ndarray:
        (output,) = self.interpreter.run(self.as_input(image)).values()
        return output.transpose(0, 2, 3, 1) if output.ndim == 4 else output

    def operations(self) -> dict[str, int]:
        """Operations of the program, without its constants."""
        counts = Counter(operation.type for operation in self.interpreter.package.operations)
        return {name: count for name, count in counts.most_common() if name not in _UNCOUNTED}
