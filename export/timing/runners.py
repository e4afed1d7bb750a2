"""Runs a model file of any format again and again, with nothing but its runtime, for `zoo.export.bench`.

Unlike `zoo.export.open_artifact` this takes files of anybody, and converts no input while the clock runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


class Runner:
    """A loaded model.

    Attributes:
        format: ``"tflite"``, ``"onnx"``, ``"saved_model"`` or ``"keras"``.
        size: (height, width) that it takes, or `None` for any.
    """

    format: str
    size: tuple[int, int] | None

    def prepare(self, size: tuple[int, int]) -> None:
        """Make an input of that size: one image of random pixels."""
        raise NotImplementedError

    def run(self) -> None:
        """Compute the output of the input once."""
        raise NotImplementedError


def _pixels(shape: tuple[int, ...], dtype) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, shape)
    # An int8 input stores a byte less 128.
    return (values - 128 if np.dtype(dtype) == np.int8 else values).astype(dtype)


def _image_axes(shape: tuple[int | None, ...], path: Path) -> tuple[int, int]:
    """The axes of height and width: those behind or before the three colours."""
    if len(shape) == 4 and shape[3] == 3:
        return 1, 2
    if len(shape) == 4 and shape[1] == 3:
        return 2, 3
    raise InputError(f"{path} takes {shape}, not one batch of RGB images")


def _static_size(shape: tuple[int | None, ...], axes: tuple[int, int]) -> tuple[int, int] | None:
    size = tuple(shape[axis] for axis in axes)
    return None if None in size else size


def _full_shape(
    shape: tuple[int | None, ...], axes: tuple[int, int], size: tuple[int, int]
) -> tuple[int, ...]:
    """One image of that size."""
    wanted = dict(zip(axes, size, strict=True))
    return tuple(wanted.get(axis, 1 if axis == 0 else length) for axis, length in enumerate(shape))


class TFLiteRunner(Runner):
    format = "tflite"

    def __init__(self, path: Path, *, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = [details["index"] for details in self._interpreter.get_output_details()]
        self._shape = tuple(None if n < 0 else int(n) for n in self._input["shape_signature"])
        self._axes = _image_axes(self._shape, path)
        self.size = _static_size(self._shape, self._axes)

    def prepare(self, size: tuple[int, int]) -> None:
        shape = _full_shape(self._shape, self._axes, size)
        if None in self._shape:
            self._interpreter.resize_tensor_input(self._input["index"], shape)
        self._interpreter.allocate_tensors()
        self._image = _pixels(shape, self._input["dtype"])

    def run(self) -> None:
        self._interpreter.set_tensor(self._input["index"], self._image)
        self._interpreter.invoke()
        for index in self._outputs:
            self._interpreter.get_tensor(index)


class ONNXRunner(Runner):
    format = "onnx"

    def __init__(self, path: Path, *, threads: int, profile: Path | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self.session.get_inputs()[0]
        self._shape = tuple(n if isinstance(n, int) else None for n in self._input.shape)
        self._axes = _image_axes(self._shape, path)
        self.size = _static_size(self._shape, self._axes)
        if self._input.type not in _TYPES:
            raise InputError(f"{path} takes {self._input.type}, not {', '.join(_TYPES)}")

    def prepare(self, size: tuple[int, int]) -> None:
        image = _pixels(_full_shape(self._shape, self._axes, size), _TYPES[self._input.type])
        self._feed = {self._input.name: image}

    def run(self) -> None:
        self.session.run(None, self._feed)


class _TensorFlowRunner(Runner):
    """What a `tf.function` and a signature of a SavedModel share."""

    def prepare(self, size: tuple[int, int]) -> None:
        import tensorflow as tf

        self._image = tf.constant(_pixels((1, *size, 3), np.float32))

    def run(self) -> None:
        result = self._call(self._image)
        # Waits for the result, wherever it is computed.
        for tensor in result.values() if isinstance(result, Mapping) else (result,):
            tensor.numpy()


class SavedModelRunner(_TensorFlowRunner):
    format = "saved_model"

    def __init__(self, path: Path, *, threads: int):
        import tensorflow as tf

        self._loaded = tf.saved_model.load(str(path))  # owns the variables
        signature = self._loaded.signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        self.size = _static_size(tuple(spec.shape), _image_axes(tuple(spec.shape), path))
        self._call = lambda image: signature(**{name: image})


class KerasRunner(_TensorFlowRunner):
    format = "keras"

    def __init__(self, path: Path, *, threads: int):
        import keras
        import tensorflow as tf

        import zoo.serializable  # noqa: F401 (registers the layers)

        model = keras.models.load_model(path, compile=False)
        self.size = _static_size(model.input_shape, _image_axes(model.input_shape, path))
        self._call = tf.function(lambda image: model(image, training=False), autograph=False)


_RUNNERS = {".tflite": TFLiteRunner, ".onnx": ONNXRunner, ".keras": KerasRunner}


def runner_class(path: Path) -> type[Runner]:
    """Which runner takes a file or folder; loads nothing.

    Raises:
        InputError: It does not exist, or is none of the formats.
    """
    if not path.exists():
        raise InputError(f"there is no artifact {str(path)!r}")
    if (path / "saved_model.pb").is_file():
        return SavedModelRunner
    if path.is_file() and path.suffix in _RUNNERS:
        return _RUNNERS[path.suffix]
    raise InputError(f"{path} is no .tflite, .onnx or .keras file and no SavedModel folder")


def import_runtime(kind: type[Runner], *, threads: int) -> None:
    """Import what a runner needs, so that its memory can be told from the model's."""
    if kind is TFLiteRunner:
        import ai_edge_litert.interpreter  # noqa: F401
    elif kind is ONNXRunner:
        import onnxruntime  # noqa: F401
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def open_runner(path: Path, *, threads: int) -> Runner:
    """Load a file or folder.

    Raises:
        InputError: As `runner_class`, or an input that is no RGB image.
        FormatError: A damaged file.
    """
    kind = runner_class(path)
    try:
        return kind(path, threads=threads)
    except InputError:
        raise
    except Exception as error:  # each runtime has errors of its own, without a common base
        text = " ".join(str(error).split())[:300]
        raise FormatError(f"{path} cannot be loaded as {kind.format}: {text}") from error
