"""`zoo.generate`: a digit that nobody has spoken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from zoo._backend import check_backend
from zoo.errors import InputError
from zoo.sequence import mu_law
from zoo.sequence.digits.recordings import CONVENTION, RATE, SILENCE, SPEAKERS
from zoo.sequence.drawing import check_temperature, chosen

if TYPE_CHECKING:
    import keras

NAME = "wavenet_digits"
LONGEST = 60.0
# Without a length: as long as the network speaks, at most so many samples.
LIMIT = 12_000
# So many codes of silence in a row end a digit: no recording has more than 26.
PAUSE = 80


class Blocks(Protocol):
    """What a file says of its blocks."""

    @property
    def block(self) -> int: ...


@runtime_checkable
class Speaker(Protocol):
    """An exported file that gives the logits of the next code."""

    @property
    def description(self) -> Blocks: ...

    def initial_state(self) -> np.ndarray: ...

    def step(self, codes: np.ndarray, ids: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(1, 1)`` codes, ``(1, 2)`` digit and speaker and the state → ``(1, 1, classes)``, new state."""


@dataclass(frozen=True)
class Generated:
    """Sound that a network drew.

    Attributes:
        samples: ``(samples,)`` float32 in −1…1.
        rate: Samples per second.
        ended: Whether the network came to an end of its own.
    """

    samples: np.ndarray
    rate: int
    ended: bool


def generate(
    model: str | keras.Model | Speaker = NAME,
    *,
    digit: int,
    speaker: str,
    seconds: float | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> Generated:
    """Draw a spoken digit, sample by sample.

    Args:
        model: ``"wavenet_digits"``, what `zoo.load` gave for it, or a file of `zoo.export.open_speaker`.
        digit: 0 to 9.
        speaker: Of `zoo.sequence.SPEAKERS`.
        seconds: Length, at most 60. By default the network decides: its recordings were followed by silence
            in training, and 80 codes of silence in a row (10 ms) end the digit and are cut off; after 1.5
            seconds it ends in any case.
        temperature: Divides the logits; below 1 the likelier codes gain, 0 takes the likeliest.
        seed: Of the draw; the same one gives the same sound.

    Raises:
        InputError: Another model, or an argument out of range.
    """
    check(digit=digit, speaker=speaker, seconds=seconds, temperature=temperature, seed=seed)
    ids = np.array([ids_of(digit, speaker)])
    length = LIMIT if seconds is None else round(seconds * RATE)
    codes: list[int] = []
    for code in _drawn(model, ids, temperature, seed):
        codes.append(code)
        if len(codes) == length or (seconds is None and _pauses(codes)):
            break
    end, ended = spoken(np.asarray(codes))
    samples = mu_law.decode(codes if seconds is not None else codes[:end], convention=CONVENTION)
    return Generated(samples=samples, rate=RATE, ended=ended)


def check(*, digit: object, speaker: object, seconds: object, temperature: object, seed: object) -> None:
    """Raise the `InputError` of `generate` for arguments out of range."""
    ids_of(digit, speaker)
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 1 / RATE <= seconds <= LONGEST):
        raise InputError(f"seconds must be a number above 0, at most {LONGEST:g}, not {seconds!r}")
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"seed must be a whole number from 0, not {seed!r}")
    check_temperature(temperature)


def spoken(codes: np.ndarray) -> tuple[int, bool]:
    """How many of ``(samples,)`` codes a digit takes, and whether a pause ends it."""
    quiet, run = np.asarray(codes) == SILENCE, 0
    if quiet.all():
        return len(quiet), False
    for at in range(int(quiet.argmin()), len(quiet)):  # from the first that is heard
        run = run + 1 if quiet[at] else 0
        if run == PAUSE:
            return at + 1 - PAUSE, True
    return len(quiet), False


def _pauses(codes: list[int]) -> bool:
    """Whether the last codes are a pause behind something."""
    return codes[-PAUSE:].count(SILENCE) == PAUSE and codes.count(SILENCE) < len(codes)


def ids_of(digit: object, speaker: object) -> tuple[int, int]:
    """The conditions of the network; `InputError` of what it has not heard."""
    if not isinstance(digit, int | np.integer) or isinstance(digit, bool) or not 0 <= digit <= 9:
        raise InputError(f"digit must be a whole number from 0 to 9, not {digit!r}")
    if speaker not in SPEAKERS:
        raise InputError(f"the speakers are {', '.join(SPEAKERS)}, not {speaker!r}")
    return int(digit), SPEAKERS.index(speaker)


def checked_name(name: str) -> str:
    """The name of a model that speaks digits, or `InputError`."""
    if name != NAME:
        raise InputError(f"{NAME} is the model that is generated from, not {name!r}")
    return name


def _drawn(model: object, ids: np.ndarray, temperature: float, seed: int) -> Iterator[int]:
    """Codes without end."""
    if isinstance(model, Speaker):
        yield from _from_file(model, ids, temperature, seed)
        return
    # Behind the files, which need no TensorFlow.
    check_backend()
    from zoo.sequence.sampling import drawn_codes

    words = {"ids": ids, "first": SILENCE, "temperature": temperature, "seed": seed}
    for code in drawn_codes(_network(model), **words):
        yield int(code[0])


def _from_file(file: Speaker, ids: np.ndarray, temperature: float, seed: int) -> Iterator[int]:
    block = file.description.block
    if block != 1:
        raise InputError(f"what is generated from takes single codes, not {block} in a block")
    draw, state, codes = np.random.default_rng(seed), file.initial_state(), np.array([SILENCE])
    while True:
        logits, state = file.step(codes[None], ids, state)
        codes = chosen(logits[0], temperature, draw)
        yield int(codes[0])


def _network(model: object) -> keras.Model:
    from zoo.sequence.loading import load_sequence
    from zoo.sequence.wavenet import config_of

    if isinstance(model, str):
        model = load_sequence(checked_name(model), "default")
    config = config_of(model)
    if config.ids != (10, len(SPEAKERS)) or config.classes != 256 or config.local:
        raise InputError(f"{model.name} is no WaveNet of 10 digits, {len(SPEAKERS)} speakers and 256 codes")
    return model
