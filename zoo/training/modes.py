"""How the layers of a built model compute while it is trained: precision, and synchronized batch norm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from zoo.layers import BilinearUpsampling2D, Enlarge, FusedBatchNormalization
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import Resize
from zoo.training.precision import PRECISIONS, check_precision

# Their accuracy is that of the image or of the logits, so they stay in float32 in every mode.
_ALWAYS_FLOAT32 = (Normalize, Enlarge, Resize, BilinearUpsampling2D)


@contextlib.contextmanager
def computing(
    model: keras.Model, *, precision: str, synchronized: bool, batch_statistics: str = "auto"
) -> Iterator[None]:
    """Within the context the model computes so; after it, its layers are as they were before.

    Variables are float32 throughout. What Keras traced of the model before, for ``predict`` and its like, it
    traces anew, within and after.

    Args:
        model: A zoo model with float32 layers.
        precision: ``"float32"``, ``"float16"`` or ``"bfloat16"``; the logits are always float32.
        synchronized: Whether batch normalization uses the statistics of all replicas together.
        batch_statistics: When it uses them at all; see `zoo.layers.FusedBatchNormalization`.

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
    norms = [layer for layer in model.layers if isinstance(layer, FusedBatchNormalization)]
    rules = [layer.batch_statistics for layer in norms]
    for layer in norms:
        layer.came_with_statistics()  # before a checkpoint of the run gives it others
        layer.batch_statistics = batch_statistics
    _forget_traces(model)
    try:
        yield
    finally:
        for layer, old_policy, old_flag in before:
            layer.dtype_policy = old_policy
            if old_flag is not None:
                layer.synchronized = old_flag
        for layer, rule in zip(norms, rules, strict=True):
            layer.batch_statistics = rule
        _forget_traces(model)


def _forget_traces(model: keras.Model) -> None:
    """Keras' traced functions have the types inside that the layers computed in when they were traced."""
    model.train_function = model.test_function = model.predict_function = None
