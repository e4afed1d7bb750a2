import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.small_models import LABELS, SPECS, build, randomize

from zoo.compression import register_translation, to_tf_keras
from zoo.compression.requirements import require
from zoo.errors import InputError
from zoo.models import registry
from zoo.models.heads.classifier import classify


def image(size=33, seed=1):
    return np.random.default_rng(seed).uniform(0, 255, (1, size, size, 3)).astype("float32")


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("spec", SPECS)
def test_every_model_of_the_registry_is_equal_on_both_sides(spec):
    model = build(spec)
    randomize(model)
    bridge = to_tf_keras(model)
    x = image()
    want = model(x, training=False).numpy()
    got = bridge.network(x, training=False).numpy()
    limit = 1e-5 * max(1.0, np.abs(want).max())
    assert want.std() > 0
    np.testing.assert_allclose(got, want, rtol=0, atol=limit)
    # The way back, with other weights, into the same model.
    rng = np.random.default_rng(2)
    for variable in bridge.network.weights:
        variable.assign(variable * rng.uniform(0.9, 1.1))
    changed = bridge.network(x, training=False).numpy()
    assert np.abs(changed - want).max() > limit
    back = bridge.to_keras()(x, training=False).numpy()
    np.testing.assert_allclose(back, changed, rtol=0, atol=1e-5 * max(1.0, np.abs(changed).max()))


def small_model(middle=None):
    inputs = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    x = middle(x) if middle else x
    return keras.Model(inputs, classify(x, inputs, label_set=LABELS, convention="half_pixel"), name="small")


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

    def compute_output_shape(self, shape):
        return shape


def test_unknown_layer_is_named_and_can_be_taught():
    model = small_model(Doubled(name="twice"))
    with pytest.raises(InputError, match=r"'twice' is a Doubled.*register_translation\(Doubled, function\)"):
        to_tf_keras(model)
    tf_keras = require("tf_keras")
    register_translation(Doubled, lambda layer: tf_keras.layers.Lambda(lambda x: 2 * x, name=layer.name))
    x = image(9)
    np.testing.assert_allclose(to_tf_keras(model).network(x).numpy(), model(x).numpy(), atol=1e-5)


def test_registering_takes_layers_and_functions():
    with pytest.raises(InputError, match="class of Keras 3 layers"):
        register_translation(int, lambda layer: layer)
    with pytest.raises(InputError, match="from layer to layer"):
        register_translation(Doubled, "double")


def test_auxiliary_output_and_frozen_layers_are_kept():
    spec = registry.resolve("deeplabv3_aspp")
    model = spec.build()(label_set=LABELS, width=0.25, auxiliary=True)
    model.get_layer("backbone.stem.conv").trainable = False
    network = to_tf_keras(model).network
    assert not network.get_layer("backbone.stem.conv").trainable
    x = image(33)
    want, got = model(x), network(x)
    assert set(got) == {"logits", "auxiliary"}
    for key in want:
        np.testing.assert_allclose(got[key].numpy(), want[key].numpy(), atol=1e-5)


def test_batch_norm_trains_as_in_keras():
    model = small_model(keras.layers.BatchNormalization(momentum=0.9, name="norm"))
    network = to_tf_keras(model).network
    x = image(9)
    want, got = model(x, training=True), network(x, training=True)
    np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-5)
    norm = model.get_layer("norm")
    for name in ("moving_mean", "moving_variance"):
        theirs = getattr(network.get_layer("norm"), name)
        np.testing.assert_allclose(theirs.numpy(), getattr(norm, name).numpy(), atol=1e-6)


def test_gradients_are_equal():
    spec = registry.resolve("deeplabv3_aspp")
    # Rates that are dilated on a map of 5×5 cells, dense and depthwise.
    model = spec.build()(label_set=LABELS, width=0.25, output_stride=8, rates=(2, 3), dropout=0.0)
    bridge = to_tf_keras(model)
    x = image(33)
    weights = tf.random.stateless_normal((1, 33, 33, 3), (1, 2))
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(model(x, training=False) * weights)
    ours = [v.value for v, _ in bridge.pairs if v.trainable]
    want = tape.gradient(value, ours)
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(bridge.network(x, training=False) * weights)
    got = tape.gradient(value, [t for v, t in bridge.pairs if v.trainable])
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-6 + 1e-4 * np.abs(a).max())


def test_missing_package_says_how_to_install_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(InputError, match=r'pip install "atrous-zoo\[compression\]"'):
        require("tf_keras")


def test_only_functional_models():
    with pytest.raises(InputError, match="functional"):
        to_tf_keras(object())


@pytest.mark.parametrize(("shape", "own"), [((1, 1, 1, 2), False), ((2, 3, 3, 2), True)])
@pytest.mark.parametrize("static", [True, False])
def test_batch_statistics_are_kept_as_in_keras_3(shape, own, static):
    from zoo.compression.tf_layers import BatchNormalization

    norm = BatchNormalization(momentum=0.9, epsilon=1e-3)
    norm.build((None, None, None, 2))
    if own:
        norm.moving_mean.assign([1.0, 2.0])
    before = [v.numpy().tobytes() for v in (norm.moving_mean, norm.moving_variance)]
    spec = tf.TensorSpec(shape if static else (None, None, None, 2))
    run = tf.function(lambda x: norm(x, training=True), input_signature=[spec])
    x = tf.random.stateless_normal(shape, (1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = run(x)
    np.testing.assert_allclose(y, norm(x, training=False), rtol=1e-5, atol=1e-6)
    assert [v.numpy().tobytes() for v in (norm.moving_mean, norm.moving_variance)] == before
    four = tf.random.stateless_normal((4, 3, 3, 2), (1, 2))
    norm(four, training=True)
    assert [v.numpy().tobytes() for v in (norm.moving_mean, norm.moving_variance)] != before
