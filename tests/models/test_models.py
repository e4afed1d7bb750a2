"""Every model of the registry, at tiny sizes."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.small_models import DEEPER, SPECS

import zoo
from zoo.labels import CAMVID11, VOC21
from zoo.layers.resize import label_set_of
from zoo.models import registry

MODELS = zoo.list_models()
NAMES = [pytest.param(spec.values[0].name, marks=spec.marks) for spec in SPECS]


def image(height, width, batch=1):
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module", params=NAMES)
def model(request):
    yield zoo.load(request.param, weights=None)
    keras.backend.clear_session()


@pytest.fixture(autouse=True)
def collect():
    """Models are full of cycles: without this, half a gigabyte waits after each test of a large one."""
    yield
    gc.collect()


def test_parameters_are_what_the_registry_says(model):
    assert model.count_params() == zoo.info(model.name).parameters


@pytest.mark.parametrize("size", [(33, 47), (64, 48), (17, 80)])
def test_logits_have_the_size_of_the_image(model, size):
    logits = model(image(*size, batch=2))
    assert logits.shape == (2, *size, 21)
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()


def test_static_size_and_class_count(model):
    small = zoo.load(model.name, weights=None, classes=3, input_shape=(40, 56, 3))
    assert small.output_shape == (None, 40, 56, 3)
    assert len(label_set_of(small)) == 3


def test_keras_file_round_trip(model, tmp_path):
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = image(33, 40)
    np.testing.assert_array_equal(again(x), model(x))
    assert label_set_of(again) == label_set_of(model) == VOC21


def test_every_gradient_is_there_and_finite(model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(image(40, 48, batch=2), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    missing = [v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert not missing
    assert all(np.isfinite(g).all() for g in gradients)


# Its first layer behind the features has 7×7 taps on 512 channels for 4096 others.
SLOW_TO_FIT = {"context_aggregation_vgg16", *DEEPER}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW_TO_FIT else n for n in MODELS]
)
def test_fit_learns(name):
    """Two images, two classes: `model.fit` lowers the loss.

    One image is dark and one is bright, because batch norm of image-level features sees two values a channel:
    of two images alike it would amplify the noise. Dropout is off, because half of the four positions that
    32 pixels leave would drown what three steps gain.
    """
    keras.utils.set_random_seed(0)
    small = zoo.load(name, weights=None, classes=2, input_shape=(32, 32, 3))
    for layer in small.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    x = image(32, 32, batch=2) * np.array([0.3, 1.0], "float32").reshape(2, 1, 1, 1)
    y = np.stack([np.zeros((32, 32), "int32"), np.ones((32, 32), "int32")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Tracing a training step takes longer than three steps, so that one network stands for all here.
    eager = name != "deeplabv3_aspp_mobilenet_v2"
    # Without batch norm nothing bounds what a step does to scores behind sixteen layers of large values.
    rate = 1e-6 if "vgg16" in name else 1e-4
    small.compile(keras.optimizers.Adam(rate), loss, jit_compile=False, run_eagerly=eager)
    history = small.fit(x, y, epochs=3, batch_size=2, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_policies(model, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = zoo.load(model.name, weights=None)
    finally:
        keras.config.set_dtype_policy(before)
    logits = half(image(32, 40))
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()


def test_traced_graph_holds_no_space_to_batch(model):
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, None, None, 3))
    )
    types = {op.type for op in traced.graph.get_operations()}
    assert not {t for t in types if "SpaceToBatch" in t or "BatchToSpace" in t}


def test_names_and_aliases():
    assert zoo.load("deeplabv3_aspp", weights=None, input_shape=(32, 32, 3)).name in MODELS
    assert registry.resolve("deeplabv3_aspp").name == "deeplabv3_aspp_mobilenet_v2"
    assert zoo.list_models("deeplabv3_aspp")[0].startswith("deeplabv3_aspp_")
    assert len(CAMVID11) == 11


def test_rates_and_image_pooling_are_parameters():
    build = registry.resolve("deeplabv3_aspp").build()
    model = build(label_set=VOC21, output_stride=8, input_shape=(32, 32, 3))
    assert [model.get_layer(f"aspp.conv{i}.conv").rate for i in (1, 2, 3)] == [12, 24, 36]
    plain = build(label_set=VOC21, rates=(2,), image_pooling=False, input_shape=(32, 32, 3))
    names = {layer.name for layer in plain.layers}
    assert "aspp.conv1.conv" in names
    assert not {n for n in names if "pool" in n or n.startswith("aspp.conv2")}
