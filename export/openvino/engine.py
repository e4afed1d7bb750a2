"""How OpenVINO is asked: on the processor, with so many threads, in the types of the file."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import FormatError, InputError
from zoo.export.core.metadata import one_line

NAME = "openvino"
# Formats whose files it reads.
FORMATS = ("tflite", "onnx")


def compiled(path: Path, *, threads: int):
    """The model of a file, ready to run.

    Raises:
        InputError: OpenVINO is not installed, or reads no files of that kind.
        FormatError: OpenVINO cannot load the file.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        raise InputError(f"{path}: OpenVINO runs .tflite and .onnx files")
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise InputError(f"{NAME} is not installed: pip install 'atrous-zoo[openvino]'") from error
    # Where the processor has a short float type, it would be used unasked.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(str(path)), "CPU", settings)
    except Exception as error:  # of several kinds, without a common base
        raise FormatError(f"{path} cannot be loaded by OpenVINO: {one_line(error)}") from error
