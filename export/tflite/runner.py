"""TFLite files of anybody, timed in LiteRT."""

from __future__ import annotations

from pathlib import Path

from zoo.export.core.operation_times import OperationTable
from zoo.export.core.runner import Runner, full_shape, image_axes, pixels, static_size


class TFLiteRunner(Runner):
    format = "tflite"

    def __init__(self, path: Path, *, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]
        self._shape = tuple(None if n < 0 else int(n) for n in self._input["shape_signature"])
        self._axes = image_axes(self._shape, path)
        self.size = static_size(self._shape, self._axes)

    @classmethod
    def import_runtime(cls, *, threads: int) -> None:
        """Import LiteRT; `threads` are a setting of each interpreter."""
        import ai_edge_litert.interpreter  # noqa: F401

    @classmethod
    def operation_times(cls, path: Path, *, size: tuple[int, int], threads: int) -> OperationTable:
        """Of each operation by itself, on random values; the size of the file is static."""
        from zoo.export.tflite.operation_times import one_by_one

        return one_by_one(path, threads=threads)

    def prepare(self, size: tuple[int, int]) -> None:
        shape = full_shape(self._shape, self._axes, size)
        if None in self._shape:
            self._interpreter.resize_tensor_input(self._input["index"], shape)
        self._interpreter.allocate_tensors()
        self._image = pixels(shape, self._input["dtype"])

    def run(self) -> None:
        self._interpreter.set_tensor(self._input["index"], self._image)
        self._interpreter.invoke()
        for index in self._outputs:
            self._interpreter.get_tensor(index)
