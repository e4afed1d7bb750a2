"""Smaller numbers in files of blocks: what may be asked for, how it is done, and how far it may stray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from zoo.errors import InputError, ParityError

# Of the error-to-signal ratio on the calibration sound. Neural Amp Modeler's trainer calls a model of less
# than 0.01 great, so that a file may add no more than that to its model's own.
MAX_ESR = 0.01
# Blocks that ranges are taken from, evenly chosen.
_BLOCKS = 200
# Less sound than this would not show what the layers' ranges are.
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class BlockKind:
    """A way of quantizing.

    Attributes:
        help: What becomes what.
        calibrated: Whether activations have ranges, which are taken from sound.
        types: Of the weights, as the file has them.
    """

    help: str
    calibrated: bool
    types: tuple[str, ...]


KINDS: Mapping[str, BlockKind] = {
    "float16": BlockKind(help="16-bit weights", calibrated=False, types=("float16",)),
    "dynamic": BlockKind(help="8-bit weights", calibrated=False, types=("int8",)),
    "int8": BlockKind(help="8-bit activations, state and weights", calibrated=True, types=("int8",)),
    "int16x8": BlockKind(
        help="16-bit activations and state, 8-bit weights", calibrated=True, types=("int8",)
    ),
}


def check(kind: str | None, suffix: str, calibration: np.ndarray | None, rate: float) -> None:
    """Raise an `InputError` for settings that do not go together."""
    if kind is None:
        if calibration is not None:
            raise InputError(f"calibration is for a quantized file: choose one of {', '.join(KINDS)}")
        return
    if kind not in KINDS:
        raise InputError(f"blocks are quantized to {', '.join(KINDS)}, not {kind!r}")
    if suffix != ".tflite":
        raise InputError(f"blocks are quantized in .tflite files, not in {suffix}")
    if KINDS[kind].calibrated and calibration is None:
        raise InputError(f"{kind} needs calibration: some seconds of playing, as the amplifier will get it")
    if calibration is not None and not KINDS[kind].calibrated:
        raise InputError(f"{kind} takes no calibration")
    if calibration is not None and len(calibration) < _LEAST_SECONDS * rate:
        raise InputError(f"calibration needs {_LEAST_SECONDS} s of sound, not {len(calibration) / rate:.2f}")


def blocks_of(model: keras.Model, sound: np.ndarray, block: int) -> Callable[[], Iterator[list[np.ndarray]]]:
    """Samples and state as a host hands them in, for a converter to take ranges from.

    The loudest block is among them: what is beyond a range is cut off.
    """
    from zoo.sequence.keras_stream import KerasStream

    stream = KerasStream(model, block=block)
    count = max(1, len(sound) // block)
    loudest = int(np.abs(sound[: count * block]).argmax()) // block
    chosen = {loudest, *(i * count // _BLOCKS for i in range(_BLOCKS))}

    def give() -> Iterator[list[np.ndarray]]:
        state = stream.initial_state()
        for index in range(count):
            samples = sound[index * block : (index + 1) * block][None, :, None]
            if index in chosen:
                yield [samples, state]
            state = stream.step(samples, state)[1]

    return give


def require(kind: str, weights: Mapping[str, int], esr: float, name: str) -> None:
    """Raise a `ParityError` for a file in which nothing is quantized, or whose sound is another."""
    if not any(weights.get(type, 0) for type in KINDS[kind].types):
        raise ParityError(f"{name}: {kind} quantized nothing; the float file is as good")
    if not esr <= MAX_ESR:
        raise ParityError(f"{name}: {kind} changes the sound by an ESR of {esr:.2g}; at most {MAX_ESR:g}")
