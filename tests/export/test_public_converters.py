"""Converters of other software take our graphs, and what they make of them computes the same.

TensorFlow.js asks for an environment of its own: ``python benchmarks/converters.py``.
"""

import keras
import numpy as np
import pytest
from support import public_converters
from support.tiny_export import LABELS, deeplab, seeded, tiny

from zoo import export
from zoo.export.proof.parity import synthetic_image
from zoo.layers import AdaptiveAveragePooling2D, DilatedConv2D
from zoo.layers.padding import JoinTiles, PadToMultiple, ReflectionPadding2D
from zoo.layers.resize import Resize, SegmentationLogits

SIZE = (50, 71)
LIMIT = 1e-4


def padded():
    """Everything that computes sizes: whole cells, pooling into a grid, crops."""
    image = keras.Input((None, None, 3), name="image")
    x = PadToMultiple(multiple=8, name="pad")(image)
    x = DilatedConv2D(4, kernel_size=3, strides=8, padding="symmetric", name="stem")(x)
    pooled = AdaptiveAveragePooling2D(3, name="pool")(x)
    x = keras.layers.Concatenate(name="concat")([x, Resize(convention="half_pixel", name="up")([pooled, x])])
    x = DilatedConv2D(3, kernel_size=3, rate=2, name="classifier")(x)
    last = SegmentationLogits(convention="half_pixel", factor=8, label_set=LABELS, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="padded"))


def tiled():
    """Mirrored margins and tiles."""
    image = keras.Input((None, None, 3), name="image")
    x = ReflectionPadding2D(margin=9, tile=(32, 32), name="mirror")(image)
    x = DilatedConv2D(3, kernel_size=19, padding="valid", name="classifier")(x)
    x = JoinTiles(tile=(32, 32), name="join")([x, image])
    last = SegmentationLogits(convention="half_pixel", factor=1, label_set=LABELS, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="tiled"))


MODELS = {
    "tiny": tiny,
    "deeplab": lambda: deeplab("torchvision", 8),
    "padded": padded,
    "tiled": tiled,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture(scope="module", params=["any", "static"])
def folder(request, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m"
    size = None if request.param == "any" else SIZE
    export.to_saved_model(model, path, input_size=size, serving_bytes=False, images=[synthetic_image(*SIZE)])
    return path


def check(convert, given, model):
    image = synthetic_image(*SIZE)[None].astype("float32")
    want = model(image, training=False).numpy()
    np.testing.assert_allclose(convert(given, image), want, atol=LIMIT * max(1, np.abs(want).max() / 20))


@pytest.mark.parametrize("name", public_converters.SAVED_MODEL)
def test_converters_take_a_saved_model(name, folder, model):
    if name == "core_ml":
        pytest.importorskip("coremltools", reason="extra coreml")
    check(public_converters.SAVED_MODEL[name], folder, model)


@pytest.mark.parametrize("name", public_converters.KERAS)
def test_converters_take_a_keras_model(name, model):
    check(public_converters.KERAS[name], model, model)


def test_a_keras_model_of_any_size_as_onnx(model):
    image = synthetic_image(*SIZE)[None].astype("float32")
    want = model(image, training=False).numpy()
    found = public_converters.onnx_keras_any(model, image)
    np.testing.assert_allclose(found, want, atol=LIMIT * max(1, np.abs(want).max() / 20))
