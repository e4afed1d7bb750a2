"""Sound files in and out, by libsndfile (``pip install "atrous-zoo[audio]"``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.files import check_local, written_whole

# Ten minutes at 192 kHz in two channels; more does not fit a phone's memory either.
MAX_VALUES = 240_000_000
SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")


@dataclass(frozen=True)
class Sound:
    """What a file holds.

    Attributes:
        samples: ``(samples, channels)`` float32, full scale is 1.
        rate: Samples per second.
        subtype: How the file stores them, such as ``"PCM_24"``.
    """

    samples: np.ndarray
    rate: int
    subtype: str

    def channel(self, wanted: int | str | None, *, name: str) -> np.ndarray:
        """One channel: by number from 1, their mean (``"mix"``), or the only one.

        Raises:
            InputError: Several channels and none chosen, or no such channel.
        """
        count = self.samples.shape[1]
        if wanted is None and count > 1:
            raise InputError(f"{name} has {count} channels: choose one (1 to {count}), or mix")
        if wanted == "mix":
            return self.samples.mean(axis=1)
        index = 1 if wanted is None else wanted
        if not isinstance(index, int) or not 1 <= index <= count:
            raise InputError(f"{name} has the channels 1 to {count}, not {wanted!r}")
        return self.samples[:, index - 1]


def read_sound(path: str | Path) -> Sound:
    """Read a WAV, FLAC or other file that libsndfile knows.

    Raises:
        InputError: No such file, the library is not installed, or there is not a single sample.
        FormatError: A damaged file, samples that are not finite, or too many.
    """
    soundfile = _library()
    path = check_local(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        with soundfile.SoundFile(path) as file:
            values = file.frames * file.channels
            if not 0 <= values <= MAX_VALUES:
                raise FormatError(f"{path.name} claims {values} samples; at most {MAX_VALUES} are read")
            # What the header claims, a short file does not hold: memory is taken for what is there.
            blocks = list(_blocks(file))
            rate, subtype, claimed = file.samplerate, file.subtype, file.frames
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise FormatError(f"{path.name} is no sound file that can be read: {_reason(error)}") from None
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    if not len(samples):
        raise InputError(f"{path.name} holds no sound")
    if len(samples) != claimed:
        raise FormatError(f"{path.name} claims {claimed} samples and holds {len(samples)}")
    if not np.isfinite(samples).all():
        raise FormatError(f"{path.name} has samples that are not finite (NaN or infinity)")
    return Sound(samples, rate, subtype)


def write_sound(path: str | Path, samples: np.ndarray, *, rate: float, subtype: str) -> int:
    """Write one channel as WAV, whole or not at all; returns how many samples had to be cut at full scale.

    Args:
        path: Named ``*.wav``.
        samples: ``(samples,)`` float32.
        rate: Samples per second, a whole number.
        subtype: One of `SUBTYPES`; ``"FLOAT"`` cuts nothing.

    Raises:
        InputError: Another name, or a file that cannot be written.
    """
    soundfile = _library()
    path = check_wav(path)
    if rate != int(rate):
        raise InputError(f"a WAV file states a whole number of samples per second, not {rate:g}")
    cut = 0 if subtype == "FLOAT" else int((np.abs(samples) > 1).sum())
    with written_whole(path) as part:
        try:
            soundfile.write(part, samples, int(rate), subtype=subtype, format="WAV")
        except soundfile.LibsndfileError as error:
            raise InputError(f"cannot write {path}: {str(error).splitlines()[0]}") from None
    return cut


def check_wav(path: str | Path) -> Path:
    """The path, if sound can be written to a file of its name; `InputError` otherwise."""
    _library()
    path = check_local(path)
    if path.suffix.lower() != ".wav":
        raise InputError(f"sound is written to a file named *.wav, not {path.name!r}")
    return path


def stored_as(subtype: str) -> str:
    """The subtype for a result of a file that was stored in another."""
    return subtype if subtype in SUBTYPES else "PCM_24"


def _reason(error: Exception) -> str:
    """The library's reason without the path, which its message begins with."""
    said = error.error_string if hasattr(error, "error_string") else str(error)
    return said.splitlines()[0] if said else type(error).__name__


def _blocks(file):
    while len(block := file.read(2**18, dtype="float32", always_2d=True)):
        yield block


def _library():
    try:
        import soundfile
    except ImportError:
        raise InputError('sound files need the extra audio: pip install "atrous-zoo[audio]"') from None
    return soundfile
