"""What tests of rewrites share: one layer as a model, and a model against its rewritten form."""

import keras
import numpy as np
from support.networks import images
from support.tiny_export import seeded

from zoo import export
from zoo.export.deploy import rewrite
from zoo.layers import FusedBatchNormalization

ATOL = 1e-4
BATCH_NORM = (keras.layers.BatchNormalization, FusedBatchNormalization)


def run(model, x):
    return model(x, training=False).numpy()


def kinds(model):
    return [type(layer) for layer in model.layers]


def hold(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=ATOL)


def rewritten(model, size, *names):
    """The model after some rewrites (all by default), held against the original; and the accounts by name."""
    new, done = rewrite(model, input_size=size, rewrites=names or None)
    x = images(size, model.input_shape[-1])
    want = run(model, x)
    assert np.abs(want).max() > 0.05  # a comparison of zeros would prove nothing
    hold(run(new, x), want)
    return new, {entry.name: entry for entry in done}


def one_layer(*layers, channels=6, size=(None, None)):
    """A model of layers one behind the other on an image of `channels`, with seeded weights."""
    x = image = keras.Input((*size, channels), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(x)
    for layer in layers:
        x = layer(x)
    return seeded(keras.Model(image, x, name="layers"))


EXPORTS = {"saved_model": "m", "tflite": "m.tflite", "onnx": "m.onnx"}


def write(format, model, folder, **options):
    return getattr(export, f"to_{format}")(model, folder / EXPORTS[format], **options)
