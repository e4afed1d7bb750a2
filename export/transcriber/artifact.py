"""Files of spelling to sound, run by LiteRT or ONNX Runtime without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.export.transcriber.description import KEY, LOGITS, SOURCE, TARGET, TranscriberDescription
from zoo.export.transcriber.runtimes import RUNTIMES, FileRuntime
from zoo.files import check_local


class Transcriber:
    """A file from letters and the phones so far to the next phone; `zoo.transcribe` takes it.

    Args:
        path: Of the file, for messages.
        runtime: What runs it.

    Attributes:
        path: The file.
        config: What it says of itself.

    Raises:
        FormatError: A file of something else.
    """

    def __init__(self, path: Path, runtime: FileRuntime):
        self.path, self._runtime = path, runtime
        self.config = TranscriberDescription.from_json(runtime.text, path=path)
        if runtime.ends != {SOURCE, TARGET, LOGITS}:
            found = ", ".join(sorted(runtime.ends))
            raise FormatError(f"{path} takes and gives {found}, not {SOURCE}, {TARGET} and {LOGITS}")

    def begin(self, source: np.ndarray) -> Unfolding:
        """Hypotheses over each row of ``(batch, n)`` integers, padded behind with 0."""
        return Unfolding(self, source)

    def logits(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """``(batch, n)`` and ``(batch, m)`` int32 → ``(batch, m, symbols)`` float32."""
        return self._runtime.run({SOURCE: source, TARGET: target}, LOGITS)

    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""
        return self._runtime.operations()


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
    if path.suffix not in RUNTIMES:
        raise InputError(f"spelling to sound is in files named {' or '.join(RUNTIMES)}, not {path.name!r}")
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return Transcriber(path, RUNTIMES[path.suffix](path, key=KEY, threads=threads))
