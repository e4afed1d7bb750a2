"""Models that enlarge their image: the same network on a larger one, logits at the size of the given one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens.seeding import image
from support.small_models import make_shallow
from support.tiny_export import seeded

import zoo
from zoo import export
from zoo.compression import quantizable
from zoo.dilation import analyse, dilation_input
from zoo.errors import InputError
from zoo.inference.network import reach_of
from zoo.labels import numbered
from zoo.layers import Enlarge
from zoo.models import registry
from zoo.training.modes import computing

LABELS = numbered(4)
NARROW = {"width": 0.25, "aspp_channels": 8}
MODELS = {
    "half pixel": ("deeplabv3_aspp", "torchvision"),
    "aligned": ("deeplabv3_plus", "tf_deeplab"),
    "whole cells": ("deeplabv3_plus", "smp"),
    "lraspp": ("lraspp", "tf_deeplab"),
}


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    make_shallow(monkeypatch)


def build(key="aligned", **settings):
    architecture, convention = MODELS[key]
    narrow = {"width": 0.25, "channels": 8} if architecture == "lraspp" else NARROW
    made = registry.resolve(f"{architecture}_mobilenet_v2").build()
    return seeded(made(label_set=LABELS, **{**narrow, "convention": convention, **settings}))


def resized(x, size):
    return tf.raw_ops.ResizeBilinear(images=x, size=size, half_pixel_centers=True)


@pytest.mark.parametrize("key", MODELS)
@pytest.mark.parametrize(("size", "larger"), [((64, 96), (96, 144)), ((49, 70), (74, 105))])
def test_it_is_the_network_on_the_larger_image(key, size, larger):
    x = image(*size)[None]
    plain, enlarging = build(key), build(key, enlarge=1.5)
    assert [w.shape for w in plain.weights] == [w.shape for w in enlarging.weights]
    expected = resized(plain(resized(x, larger), training=False), size).numpy()
    found = enlarging(x, training=False).numpy()
    assert found.shape == (1, *size, 4)
    # Where nothing is aligned to corners, the map is resized once, to the image.
    tolerance = 1e-4 if key != "half pixel" else 0.35
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
    assert np.abs(found - plain(x, training=False).numpy()).max() > 0.02 * np.abs(expected).max()


def test_half_pixel_maps_are_resized_once():
    plain, enlarging = build("half pixel"), build("half pixel", enlarge=1.5)
    scores = keras.Model(plain.input, plain.get_layer("logits").input[0])
    x = image(64, 96)[None]
    expected = resized(scores(resized(x, (96, 144)), training=False), (64, 96)).numpy()
    assert np.abs(enlarging(x, training=False).numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def test_factor_1_builds_what_it_always_built():
    assert [layer.name for layer in build().layers] == [layer.name for layer in build(enlarge=1).layers]


@pytest.mark.parametrize("value", [0.5, 5, float("nan"), "2", True, None, (2, 2)])
def test_other_factors_are_refused(value):
    with pytest.raises(InputError, match="enlarge must be a number from 1 to 4, not"):
        build(enlarge=value)


def test_a_second_output_is_at_the_size_of_the_image(monkeypatch):
    found = build(enlarge=2, auxiliary=True)(image(33, 49)[None], training=False)
    assert {key: value.shape[1:3] for key, value in found.items()} == {
        "logits": (33, 49),
        "auxiliary": (33, 49),
    }


def test_it_is_saved_with_the_model(tmp_path):
    model = build(enlarge=1.3)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    x = image(40, 56)[None]
    np.testing.assert_array_equal(again(x, training=False), model(x, training=False))
    assert again.get_layer("enlarge").factor == 1.3125  # in sixteenths


def test_settings_take_it_back(tmp_path):
    own = {"convention": "tf_deeplab", **NARROW}
    model = zoo.load("deeplabv3_plus", weights=None, classes=4, settings={**own, "enlarge": 2})
    model.save_weights(tmp_path / "m.weights.h5")
    again = zoo.load("deeplabv3_plus", tmp_path / "m.weights.h5")
    assert again.get_layer("enlarge").factor == 2
    faster = zoo.load("deeplabv3_plus", tmp_path / "m.weights.h5", settings={"enlarge": 1})
    assert not any(isinstance(layer, Enlarge) for layer in faster.layers)
    for ours, theirs in zip(again.weights, faster.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_dilation_is_that_of_the_network():
    plain, enlarging = analyse(build()), analyse(build(enlarge=1.5))
    assert (plain.source, enlarging.source) == (None, "enlarge")
    np.testing.assert_array_equal(plain.counts, enlarging.counts)
    assert dilation_input(build(enlarge=1.5)) == dilation_input(build())
    # In pixels of the image that it is given.
    assert np.allclose(reach_of(build(enlarge=2)), np.array(reach_of(build())) / 2, atol=1)


def test_training_keeps_the_image_exact():
    model = build(enlarge=1.5)
    with computing(model, precision="bfloat16", synchronized=False):
        assert model.get_layer("enlarge").compute_dtype == "float32"
    assert model.get_layer("enlarge").dtype_policy.name == "float32"


@pytest.mark.parametrize("format", ["tflite", "onnx", "saved_model", "coreml"])
@pytest.mark.parametrize("head", ["logits", "mask"])
def test_exports_are_equal_to_it(tmp_path, format, head):
    model = build(enlarge=1.5)
    path = tmp_path / {"tflite": "m.tflite", "onnx": "m.onnx", "coreml": "m.mlpackage"}.get(format, "m")
    if format == "saved_model" and head == "mask":
        pytest.skip("a SavedModel gives logits")
    more = {} if format == "saved_model" else {"head": head}
    getattr(export, f"to_{format}")(model, path, input_size=(48, 64), **more)
    report = export.verify(path, model)
    assert report.passed


def test_it_is_quantized_as_images_are():
    made = quantizable.quantizable(build(enlarge=1.5), [image(48, 64)[None]])
    assert "enlarge" in {layer.name for layer in made.model.layers}
    assert "enlarge" not in made.float_layers
