"""Both Kerases as networks are built and trained here, whatever their global settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from zoo.compression.requirements import require
from zoo.layers.common import CHANNELS_LAST, standard_globals

_EPSILON = 1e-7  # that both have unless ``keras.json`` says another


@contextlib.contextmanager
def standard_frameworks() -> Iterator[None]:
    """Channels last, float32 and the usual epsilon in tf_keras, and in Keras as in `standard_globals`.

    Raises:
        InputError: tf_keras is not installed.
    """
    tf_keras = require("tf_keras")
    backend, precision = tf_keras.backend, tf_keras.mixed_precision
    before = backend.image_data_format(), backend.floatx(), backend.epsilon(), precision.global_policy()
    try:
        backend.set_image_data_format(CHANNELS_LAST)
        backend.set_floatx("float32")
        backend.set_epsilon(_EPSILON)
        precision.set_global_policy("float32")
        with standard_globals():
            yield
    finally:
        backend.set_image_data_format(before[0])
        backend.set_floatx(before[1])
        backend.set_epsilon(before[2])
        precision.set_global_policy(before[3])
