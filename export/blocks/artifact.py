"""Files of the block form, run by LiteRT or ONNX Runtime without TensorFlow."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.export.blocks.description import KEY, NEXT_STATE, OUTPUT, SAMPLES, STATE, BlockDescription
from zoo.export.core.onnx_model import parsed
from zoo.files import check_local


class BlockArtifact(ABC):
    """A file that takes a block and the state, and gives as many samples and the state behind them.

    Attributes:
        path: The file.
        description: What it says of itself.
        block: Samples of a block.
        sample_rate: Samples per second.
    """

    path: Path
    description: BlockDescription

    @property
    def block(self) -> int:
        return self.description.block

    @property
    def sample_rate(self) -> float:
        return self.description.sample_rate

    def initial_state(self) -> np.ndarray:
        """The state after endless silence, ``(1, floats)`` float32."""
        state = np.zeros((1, self.description.state), np.float32)
        silence = np.zeros((1, self.block, 1), np.float32)
        for _ in range(-(-self.description.receptive_field // self.block)):
            state = self.step(silence, state)[1]
        return state

    @abstractmethod
    def step(self, samples: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(1, block, 1)`` and ``(1, floats)`` float32 → the same two."""

    @abstractmethod
    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""

    def _check_ends(self, shapes: dict[str, tuple[int, ...]]) -> None:
        ends = (1, self.block, 1), (1, self.description.state)
        expected = dict(zip((SAMPLES, STATE, OUTPUT, NEXT_STATE), ends * 2, strict=True))
        if shapes != expected:
            raise FormatError(f"{self.path} takes and gives {shapes}, but says {expected}")


class TFLiteBlocks(BlockArtifact):
    """A ``.tflite`` file; calls from several threads take turns."""

    def __init__(self, path: Path, *, threads: int):
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
        self.description = BlockDescription.from_json(_embedded(self._reader, path), path=path)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._places = {end["name"]: end["index"] for end in (*inputs, *outputs)}
        self._check_ends({end["name"]: tuple(map(int, end["shape"])) for end in (*inputs, *outputs)})

    def step(self, samples, state):
        with self._lock:
            self._interpreter.set_tensor(self._places[SAMPLES], samples)
            self._interpreter.set_tensor(self._places[STATE], state)
            self._interpreter.invoke()
            found = [self._interpreter.get_tensor(self._places[name]) for name in (OUTPUT, NEXT_STATE)]
        return found[0], found[1]

    def operations(self) -> dict[str, int]:
        from zoo.export.tflite.artifact import operator_name

        reader = self._reader
        names = [operator_name(reader.OperatorCodes(i)) for i in range(reader.OperatorCodesLength())]
        graph = reader.Subgraphs(0)
        used = [names[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]
        return dict(Counter(used).most_common())


class OnnxBlocks(BlockArtifact):
    """An ``.onnx`` file."""

    def __init__(self, path: Path, *, threads: int):
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
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY, "")
        self.description = BlockDescription.from_json(text, path=path)
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        self._check_ends({end.name: tuple(end.shape) for end in ends})

    def step(self, samples, state):
        found = self._session.run([OUTPUT, NEXT_STATE], {SAMPLES: samples, STATE: state})
        return found[0], found[1]

    def operations(self) -> dict[str, int]:
        return dict(Counter(node.op_type for node in self._graph.node).most_common())


_KINDS = {".tflite": TFLiteBlocks, ".onnx": OnnxBlocks}


def open_blocks(path: str | Path, *, threads: int = 1) -> BlockArtifact:
    """Open a file that `to_blocks` wrote; `zoo.process` takes it.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        threads: Of the runtime. One is the fastest for blocks as short as those of sound.

    Raises:
        InputError: No such file, or another suffix.
        FormatError: A file that cannot be loaded, or is no block form.
    """
    path = check_local(path)
    if path.suffix not in _KINDS:
        raise InputError(f"blocks are in files named {' or '.join(_KINDS)}, not {path.name!r}")
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return _KINDS[path.suffix](path, threads=threads)


def _embedded(reader, path: Path) -> bytes:
    """The entry of the description; FormatError where there is none."""
    for index in range(reader.MetadataLength()):
        entry = reader.Metadata(index)
        if entry.Name() == KEY.encode() and entry.Buffer() < reader.BuffersLength():
            buffer = reader.Buffers(entry.Buffer())
            if buffer.DataLength():
                return buffer.DataAsNumpy().tobytes()
    raise FormatError(f"{path} does not describe itself as blocks of a sequence")
