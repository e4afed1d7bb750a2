"""The Free Spoken Digit Dataset (Jakobovski et al.), read out of its archive."""

from __future__ import annotations

import io
import re
import wave
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.files import check_local
from zoo.sequence.mu_law import encode

RATE = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
CONVENTION = "rounded"
# By that convention of µ-law.
SILENCE = 128
# The publisher's test set; the rest is for training, of which this project keeps a tenth aside.
SPLITS = {"test": range(5), "dev": range(5, 10), "train": range(10, 50)}
_NAME = re.compile(r"(?:.*/)?([0-9])_([a-z]+)_([0-9]{1,2})\.wav")
_MOST_FILES, _MOST_BYTES = 20_000, 1 << 20


@dataclass(frozen=True)
class Recording:
    """One spoken digit.

    Attributes:
        digit: 0 to 9.
        speaker: Index into `SPEAKERS`.
        index: Number of the recording, 0 to 49.
        sound: ``(samples,)`` float32, full scale is 1.
    """

    digit: int
    speaker: int
    index: int
    sound: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """``(samples,)`` int32, µ-law by `CONVENTION`."""
        return encode(self.sound, convention=CONVENTION).astype(np.int32)

    @property
    def ids(self) -> tuple[int, int]:
        """The network's global conditions."""
        return self.digit, self.speaker


def read_recordings(path: str | Path, split: str | Iterable[int]) -> list[Recording]:
    """Recordings of an archive, sorted by digit, speaker and index.

    Args:
        path: A zip file whose members are named ``DIGIT_SPEAKER_INDEX.wav``; nothing is extracted.
        split: Of `SPLITS`, or the indices that are wanted.

    Raises:
        InputError: No such file or split, or not a single recording of it.
        FormatError: No archive, or a member that is no sound of 8 kHz, 16 bits and one channel.
    """
    path = check_local(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if isinstance(split, str) and split not in SPLITS:
        raise InputError(f"the splits are {', '.join(SPLITS)}, not {split!r}")
    wanted = set(SPLITS[split] if isinstance(split, str) else split)
    try:
        with zipfile.ZipFile(path) as archive:
            found = [r for member in _members(archive, path) if (r := _read(archive, member, wanted))]
    except (zipfile.BadZipFile, wave.Error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path.name} is no archive of recordings that can be read: {error}") from None
    if not found:
        raise InputError(f"{path.name} holds no recording DIGIT_SPEAKER_INDEX.wav of what is asked for")
    return sorted(found, key=lambda r: (r.digit, r.speaker, r.index))


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MOST_FILES:
        raise FormatError(f"{path.name} holds {len(members)} files; at most {_MOST_FILES} are read")
    return members


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, wanted: set[int]) -> Recording | None:
    named = _NAME.fullmatch(member.filename)
    if not named or named[2] not in SPEAKERS or int(named[3]) not in wanted:
        return None
    if member.file_size > _MOST_BYTES:
        raise FormatError(f"{member.filename} holds {member.file_size} bytes; at most {_MOST_BYTES} are read")
    with wave.open(io.BytesIO(archive.read(member))) as file:
        kind = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if kind != (RATE, 1, 2):
            said = "samples per second, channels and bytes are {}, {}, {}; {} Hz, 1 and 2 are read"
            raise FormatError(f"{member.filename}: {said.format(*kind, RATE)}")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if not len(values):
        raise FormatError(f"{member.filename} holds no sound")
    sound = values.astype(np.float32) / 32768
    return Recording(int(named[1]), SPEAKERS.index(named[2]), int(named[3]), sound)
