"""Files of a WaveNet of codes: codes and the state in, logits of the next codes and the new state out."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.export.blocks.description import NEXT_STATE, STATE, is_count, read_description
from zoo.export.blocks.runtimes import RunnableFile, open_file

KEY = "atrous_zoo_speaker"
VERSION = 1
CODES, IDS, LOGITS = "codes", "ids", "logits"


@dataclass(frozen=True, kw_only=True)
class SpeakerDescription:
    """What a host has to know.

    Attributes:
        model: Name of the model.
        block: Codes of a block; one for generation.
        state: Floats of the state, zeros at first.
        receptive_field: Codes that one prediction depends on.
        classes: Codes there are, by µ-law.
        silence: The code before the first.
        ids: How many digits and speakers there are.
        speakers: Their names, in order.
        sample_rate: Samples per second.
        version: Of this description.
    """

    model: str
    block: int
    state: int
    receptive_field: int
    classes: int
    silence: int
    ids: tuple[int, ...]
    speakers: tuple[str, ...]
    sample_rate: float
    version: int = VERSION

    def to_json(self) -> str:
        """As JSON, the same text for the same values."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str, *, path: Path) -> SpeakerDescription:
        """The description in a file.

        Raises:
            FormatError: Text that is none, or of a later version.
        """
        what = "a speaker by codes"
        found = read_description(text, cls, VERSION, is_sound=_is_sound, what=what, path=path)
        return cls(**{**found, "ids": tuple(found["ids"]), "speakers": tuple(found["speakers"])})


class SpeakerArtifact:
    """A file of `to_speaker`; `zoo.generate` takes one whose blocks are single codes.

    Attributes:
        path: The file.
        description: What it says of itself.
    """

    def __init__(self, file: RunnableFile):
        self._file, self.path = file, file.path
        self.description = said = SpeakerDescription.from_json(file.text, path=file.path)
        state = ((1, said.state), "float32")
        file.check_ends(
            {CODES: ((1, said.block), "int32"), IDS: ((1, len(said.ids)), "int32"), STATE: state},
            {LOGITS: ((1, said.block, said.classes), "float32"), NEXT_STATE: state},
        )

    def initial_state(self) -> np.ndarray:
        """The state before the first code, ``(1, floats)`` float32."""
        return np.zeros((1, self.description.state), np.float32)

    def step(self, codes: np.ndarray, ids: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits of what follows each code, and the state behind them.

        Args:
            codes: ``(1, block)`` integers.
            ids: ``(1, 2)`` integers, digit and speaker.
            state: ``(1, floats)`` float32.

        Returns:
            ``(1, block, classes)`` and the next state.
        """
        values = {CODES: codes.astype(np.int32), IDS: ids.astype(np.int32), STATE: state}
        found = self._file.run(values)
        return found[LOGITS], found[NEXT_STATE]

    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""
        return self._file.operations()


def open_speaker(path: str | Path, *, threads: int = 1) -> SpeakerArtifact:
    """Open a file that `to_speaker` wrote; it needs no TensorFlow.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        threads: Of the runtime. One is the fastest for single codes.

    Raises:
        InputError: No such file, or another suffix.
        FormatError: A file that cannot be loaded, or is no speaker.
    """
    return SpeakerArtifact(open_file(path, key=KEY, what="speakers", threads=threads))


def _is_sound(found: dict) -> bool:
    rate, ids, names = found["sample_rate"], found["ids"], found["speakers"]
    counts = [found[name] for name in ("block", "state", "receptive_field", "classes", "version")]
    return (
        all(map(is_count, counts))
        and isinstance(ids, list)
        and all(map(is_count, ids))
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(rate, int | float)
        and not isinstance(rate, bool)
        and math.isfinite(rate)
        and isinstance(found["model"], str)
        and isinstance(found["silence"], int)
        and 0 <= found["silence"] < found["classes"]
    )
