"""`in_blocks` for every causal model."""

from __future__ import annotations

import keras

from zoo.sequence import wavenet
from zoo.sequence.nam import network as nam


def in_blocks(model: keras.Model, *, block: int | None = None, batch: int | None = 1) -> keras.Model:
    """A causal model for blocks of samples, with its state as a further input and output.

    Args:
        model: An amplifier model of ``zoo.load("wavenet_nam", …)``, or what `zoo.sequence.build_wavenet`
            built. The variables are shared with it.
        block: Samples in a block; `None` for any number.
        batch: Streams that are processed at once.

    Returns:
        See `zoo.sequence.nam.network.in_blocks` and `zoo.sequence.wavenet.in_blocks`.

    Raises:
        InputError: Another model.
    """
    is_coded = bool(model.layers) and isinstance(model.layers[-1], wavenet.WaveNetLogits)
    return (wavenet if is_coded else nam).in_blocks(model, block=block, batch=batch)
