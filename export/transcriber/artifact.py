"""Files of spelling to sound, run by LiteRT or ONNX Runtime without TensorFlow."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.export.blocks.artifact import embedded, opened_onnx, opened_tflite, operations_of
from zoo.export.transcriber.description import KEY, LOGITS, SOURCE, TARGET, TranscriberDescription
from zoo.files import check_local


class Transcriber(ABC):
    """A file from letters and the phones so far to the next phone; `zoo.transcribe` takes it.

    Attributes:
        path: The file.
        config: What it says of itself.
    """

    path: Path
    config: TranscriberDescription

    def begin(self, source: np.ndarray) -> Unfolding:
        """Hypotheses over each row of ``(batch, n)`` integers, padded behind with 0."""
        return Unfolding(self, source)

    @abstractmethod
    def logits(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """``(batch, n)`` and ``(batch, m)`` int32 → ``(batch, m, symbols)`` float32."""

    @abstractmethod
    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""


class Unfolding:
    """Hypotheses whose symbols so far are handed in as a whole at each step.

    Args:
        file: What computes.
        source: ``(batch, n)`` integers.
    """

    def __init__(self, file: Transcriber, source: np.ndarray):
        self._file, self._source = file, np.asarray(source, np.int32)
        self._target = np.zeros((len(source), 0), np.int32)

    def step(self, symbols: np.ndarray, parents: np.ndarray | None = None) -> np.ndarray:
        """See `zoo.sequence.beam_search.Hypotheses`."""
        if parents is not None:
            self._source, self._target = self._source[parents], self._target[parents]
        self._target = np.concatenate([self._target, symbols[:, None].astype(np.int32)], axis=1)
        return self._file.logits(self._source, self._target)[:, -1]


class TFLiteTranscriber(Transcriber):
    """A ``.tflite`` file; calls from several threads take turns."""

    def __init__(self, path: Path, *, threads: int):
        self.path, self._lock = path, threading.Lock()
        self._interpreter, self._reader = opened_tflite(path, threads=threads)
        self.config = TranscriberDescription.from_json(embedded(self._reader, KEY), path=path)
        ends = (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())
        self._places = {end["name"]: end["index"] for end in ends}
        _check_ends(path, self._places)

    def logits(self, source, target):
        with self._lock:
            for name, value in ((SOURCE, source), (TARGET, target)):
                self._interpreter.resize_tensor_input(self._places[name], value.shape)
            self._interpreter.allocate_tensors()
            for name, value in ((SOURCE, source), (TARGET, target)):
                self._interpreter.set_tensor(self._places[name], value)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._places[LOGITS])

    def operations(self) -> dict[str, int]:
        return operations_of(self._reader)


class OnnxTranscriber(Transcriber):
    """An ``.onnx`` file."""

    def __init__(self, path: Path, *, threads: int):
        self.path = path
        self._session, self._graph = opened_onnx(path, threads=threads)
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        self.config = TranscriberDescription.from_json(text, path=path)
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        _check_ends(path, [end.name for end in ends])

    def logits(self, source, target):
        return self._session.run([LOGITS], {SOURCE: source, TARGET: target})[0]

    def operations(self) -> dict[str, int]:
        return dict(Counter(node.op_type for node in self._graph.node).most_common())


_KINDS = {".tflite": TFLiteTranscriber, ".onnx": OnnxTranscriber}


def open_transcriber(path: str | Path, *, threads: int = 1) -> Transcriber:
    """Open a file that `to_transcriber` wrote; `zoo.transcribe` takes it as its model.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        threads: Of the runtime.

    Raises:
        InputError: No such file, or another suffix.
        FormatError: A file that cannot be loaded, or is none of spelling to sound.
    """
    path = check_local(path)
    if path.suffix not in _KINDS:
        raise InputError(f"spelling to sound is in files named {' or '.join(_KINDS)}, not {path.name!r}")
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return _KINDS[path.suffix](path, threads=threads)


def _check_ends(path: Path, names) -> None:
    if set(names) != {SOURCE, TARGET, LOGITS}:
        raise FormatError(f"{path} takes and gives {', '.join(names)}, not {SOURCE}, {TARGET} and {LOGITS}")
