"""How the layers of a built model compute while it is trained: precision, and synchronized batch norm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from zoo.layers import BilinearUpsampling2D
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import Resize
from zoo.training.precision import PRECISIONS, check_precision

# Their accuracy is that of the image or of the logits, so they stay in float32 in every mode.
_ALWAYS_FLOAT32 = (Normalize, Resize, BilinearUpsampling2D)


@contextlib.contextmanager
def computing(model: keras.Model, *, precision: str, synchronized: bool) -> Iterator[None]:
    """Within the context the model computes so; after it, its layers are as they were before.

    Variables are float32 throughout. What Keras traced of the model before, for ``predict`` and its like, it
    traces anew, within and after.

    Args:
        model: A zoo model with float32 layers.
        precision: ``"float32"``, ``"float16"`` or ``"bfloat16"``; the logits are always float32.
        synchronized: Whether batch normalization uses the statistics of all replicas together.

    Raises:
        InputError: An unknown precision.
    """
    policy = PRECISIONS[check_precision(precision)]
    before = []
    for layer in model.layers:
        before.append((layer, layer.dtype_policy, getattr(layer, "synchronized", None)))
        if not isinstance(layer, _ALWAYS_FLOAT32):
            layer.dtype_policy = policy
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = synchronized
    _forget_traces(model)
    try:
        yield
    finally:
        _forget_traces(model)
        for layer, old_policy, old_flag in before:
            layer.dtype_policy = old_policy
            if old_flag is not None:
                layer.synchronized = old_flag


def _forget_traces(model: keras.Model) -> None:
    """Keras' traced functions have the types inside that the layers computed in when they were traced."""
    model.train_function = model.test_function = model.predict_function = None
