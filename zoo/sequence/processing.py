"""Sound through a causal model, block by block, in flat memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from zoo.errors import InputError

if TYPE_CHECKING:
    import keras

# Long enough that a call's own cost does not count, short enough that no memory does.
USUAL_BLOCK = 8192
LOUDEST = 1000.0


@runtime_checkable
class Stream(Protocol):
    """A causal model that takes blocks: a Keras model here, or an exported file.

    Attributes:
        block: Samples in a block.
        sample_rate: Samples per second.
    """

    @property
    def block(self) -> int: ...

    @property
    def sample_rate(self) -> float: ...

    def initial_state(self) -> np.ndarray:
        """The state after endless silence."""

    def step(self, samples: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(1, block, 1)`` and the state before → as many samples, and the state behind them."""


def process(model: keras.Model | Stream, sound: np.ndarray, *, block: int | None = None) -> np.ndarray:
    """Run sound through an amplifier model, as if silence had come before it.

    Args:
        model: A Keras model of ``zoo.load("wavenet_nam", …)``, or a file of `zoo.export.open_blocks`.
        sound: ``(samples,)``, usually in −1…1, at the model's sample rate.
        block: Samples that are computed at a time; the result does not depend on it. A file has its own.

    Returns:
        ``(samples,)`` float32.

    Raises:
        InputError: Another model, or what is no sound of one channel.
    """
    samples = checked_sound(sound)
    stream = _stream(model, block, len(samples))
    state, found = stream.initial_state(), []
    for start in range(0, len(samples), stream.block):
        part = samples[start : start + stream.block]
        padded = np.zeros((1, stream.block, 1), np.float32)
        padded[0, : len(part), 0] = part
        output, state = stream.step(padded, state)
        found.append(output[0, : len(part), 0].copy())
    return np.concatenate(found)


def _stream(model, block: int | None, samples: int) -> Stream:
    if isinstance(model, Stream):
        if block not in (None, model.block):
            raise InputError(f"the model computes blocks of {model.block} samples, not {block}")
        return model
    # Behind the files, which need no TensorFlow.
    from zoo.sequence.keras_stream import KerasStream

    return KerasStream(model, block=min(USUAL_BLOCK, samples) if block is None else block)


def checked_block(block: object) -> int:
    """`block` as an integer from 1 to 2**20, or `InputError`."""
    if not isinstance(block, int | np.integer) or isinstance(block, bool) or not 1 <= block <= 2**20:
        raise InputError(f"block must be a whole number of samples from 1 to {2**20}, not {block!r}")
    return int(block)


def checked_sound(sound: object) -> np.ndarray:
    """`sound` as ``(samples,)`` float32, or `InputError`."""
    array = np.asarray(sound)
    if array.ndim != 1 or not array.size or array.dtype.kind != "f":
        kind = f"{array.shape} {array.dtype}"
        raise InputError(f"sound is (samples,) of floats, one channel, not {kind}")
    if not np.isfinite(array).all():
        raise InputError("the sound has samples that are not finite (NaN or infinity)")
    if np.abs(array).max() > LOUDEST:
        raise InputError(
            f"the sound goes to {np.abs(array).max():g}; full scale is 1: divide whole numbers by theirs"
        )
    return array.astype(np.float32)
