"""TFLite and ONNX files of anybody, timed in OpenVINO."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import InputError
from zoo.export.core.operation_times import OperationTable
from zoo.export.core.runner import Runner, full_shape, image_axes, pixels, static_size
from zoo.export.openvino.engine import NAME, compiled


class OpenVINORunner(Runner):
    format = NAME

    def __init__(self, path: Path, *, threads: int):
        self._compiled = compiled(path, threads=threads)
        source = self._compiled.inputs[0]
        shape = source.get_partial_shape()
        self._shape = tuple(axis.get_length() if axis.is_static else None for axis in shape)
        self._axes = image_axes(self._shape, path)
        self.size = static_size(self._shape, self._axes)
        self._dtype = source.get_element_type().to_dtype()

    @classmethod
    def import_runtime(cls, *, threads: int) -> None:
        """Import OpenVINO; `threads` are a setting of each model."""
        try:
            import openvino  # noqa: F401
        except ModuleNotFoundError as error:
            raise InputError(f"{NAME} is not installed: pip install 'atrous-zoo[openvino]'") from error

    @classmethod
    def operation_times(cls, path: Path, *, size: tuple[int, int], threads: int) -> OperationTable:
        """None."""
        return OperationTable(method="not available: they are told for the file's own runtime")

    def prepare(self, size: tuple[int, int]) -> None:
        self._image = pixels(full_shape(self._shape, self._axes, size), self._dtype)

    def run(self) -> None:
        self._compiled(self._image)
