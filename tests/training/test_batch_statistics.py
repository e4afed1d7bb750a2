"""Batch normalization over one value, and at small batches: what moves and what stays as it was."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers import FusedBatchNormalization
from zoo.training import Recipe, Settings
from zoo.training.modes import computing

MEAN, VARIANCE = np.arange(1, 6, dtype="float32") / 7, np.arange(1, 6, dtype="float32") / 3
ANY = (None, None, None, 5)


def made(*, own=True, **settings) -> keras.layers.Layer:
    """A layer of five channels; with `own`, one that came with statistics."""
    layer = FusedBatchNormalization(**settings)
    layer.build(ANY)
    if own:
        layer.moving_mean.assign(MEAN)
        layer.moving_variance.assign(VARIANCE)
    return layer


def values_of(layer) -> list[bytes]:
    return [v.numpy().tobytes() for v in (layer.moving_mean, layer.moving_variance)]


def drawn(*shape) -> np.ndarray:
    return np.random.default_rng(1).normal(3, 2, shape).astype("float32")


def trained(layer, x, *, spec, jit=False):
    """What a traced call in training gives, with its gradient; `spec` is the shape that the trace knows."""

    @tf.function(input_signature=[tf.TensorSpec(spec)], jit_compile=jit)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            total = tf.reduce_sum(y**2)
        return y, tape.gradient(total, x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [value.numpy() for value in run(tf.constant(x))]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("spec", [(1, 1, 1, 5), ANY, (1, None, None, 5), (None, 1, 1, 5)])
@pytest.mark.parametrize("own", [False, True])
def test_one_value_leaves_the_statistics_to_the_bit(own, spec, jit):
    layer, x = made(own=own), drawn(1, 1, 1, 5)
    before = values_of(layer)
    expected = layer(x, training=False)
    y, gradient = trained(layer, x, spec=spec, jit=jit)
    assert values_of(layer) == before
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    scale = layer.gamma.numpy() / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    np.testing.assert_allclose(gradient, 2 * y * scale, rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"scale": False}, {"center": False}, {"synchronized": True}, {"renorm": True}]
)
def test_one_value_on_the_way_of_keras(settings):
    if settings == {"renorm": True}:
        settings["renorm_clipping"] = {"rmax": 3, "rmin": 0.3, "dmax": 5}
    layer = made(**settings)
    before = values_of(layer)
    trained(layer, drawn(1, 1, 1, 5), spec=(1, 1, 1, 5))
    assert values_of(layer) == before
    if "renorm" not in settings:
        trained(layer, drawn(1, 1, 1, 5), spec=ANY)
        assert values_of(layer) == before


def test_dense_rows_of_one_value():
    layer = FusedBatchNormalization()
    layer.build((None, 5))
    before = values_of(layer)
    trained(layer, drawn(1, 5), spec=(None, 5))
    assert values_of(layer) == before


@pytest.mark.parametrize("spec", [None, ANY])
@pytest.mark.parametrize(
    ("images", "own", "rule", "kept"),
    [
        (1, True, "auto", True),
        (3, True, "auto", True),
        (4, True, "auto", False),
        (1, False, "auto", False),
        (3, True, "always", False),
        (8, True, "never", True),
    ],
)
def test_small_batches_keep_what_the_layer_came_with(images, own, rule, kept, spec):
    layer, x = made(own=own), drawn(images, 4, 3, 5)
    layer.batch_statistics = rule
    before, own_values = values_of(layer), [v.numpy() for v in (layer.moving_mean, layer.moving_variance)]
    y, _ = trained(layer, x, spec=spec or x.shape)
    assert (values_of(layer) == before) is kept
    if not kept:
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
        keep = layer.momentum
        mean = own_values[0] * keep + x.mean((0, 1, 2)) * (1 - keep)
        variance = own_values[1] * keep + x.var((0, 1, 2)) * (1 - keep)
        np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_a_network_from_scratch_stays_trained_after_its_first_step():
    layer, x = made(own=False), drawn(2, 4, 3, 5)
    trained(layer, x, spec=x.shape)
    after = values_of(layer)
    trained(layer, x, spec=ANY)
    assert values_of(layer) != after


def test_one_warning_says_the_rule():
    layer, x = made(), drawn(2, 4, 3, 5)
    with pytest.warns(UserWarning, match="fewer than 4 images: batch normalization keeps the statistics"):
        layer(x, training=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(drawn(4, 4, 3, 5), training=True)
        made(own=False)(x, training=True)


REPLICAS = """
import json, sys, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from zoo.layers import FusedBatchNormalization
strategy, results = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), {}
for sizes, synchronized in (((1, 1), False), ((1, 1), True), ((2, 1), True), ((2, 2), False)):
    for spec in (None, (None, None, None, 5)):
        if spec is None and len(set(sizes)) > 1:
            continue
        with strategy.scope():
            layer = FusedBatchNormalization(synchronized=synchronized)
            layer.build((None, None, None, 5))
        parts = [tf.random.stateless_normal((n, 1, 1, 5), (i, n)) for i, n in enumerate(sizes)]

        def replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            x = tf.cond(index == 0, lambda: parts[0], lambda: parts[1]) if spec else parts[0] + float(index)
            return layer(tf.ensure_shape(x, spec) if spec else x, training=True)

        tf.function(lambda: strategy.run(replica))()
        kept = not layer.moving_mean.numpy().any() and bool((layer.moving_variance.numpy() == 1).all())
        results[f"{sizes} {synchronized} {spec is None}"] = kept
json.dump(results, sys.stdout)
"""


def test_replicas_count_together_where_they_are_synchronized(tmp_path):
    program = tmp_path / "replicas.py"  # TensorFlow wants to see the source
    program.write_text(REPLICAS)
    found = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    kept = {"(1, 1) False True", "(1, 1) False False"}
    assert json.loads(found.stdout) == {
        name: name in kept
        for name in (
            "(1, 1) False True",
            "(1, 1) False False",
            "(1, 1) True True",
            "(1, 1) True False",
            "(2, 1) True False",
            "(2, 2) False True",
            "(2, 2) False False",
        )
    }


def test_settings_and_recipe_name_the_rule():
    assert Recipe().batch_statistics == "auto"
    assert Recipe.from_dict({"batch_statistics": "never"}).batch_statistics == "never"
    for make in (
        lambda: Recipe(batch_statistics="no"),
        lambda: Settings(steps=1, epoch_steps=1, batch_statistics=1),
    ):
        with pytest.raises(InputError, match="batch_statistics must be one of auto, always, never"):
            make()


def test_a_mode_is_put_back():
    image = keras.Input((None, None, 5))
    model = keras.Model(image, FusedBatchNormalization(name="bn")(image))
    with computing(model, precision="float32", synchronized=False, batch_statistics="never"):
        assert model.get_layer("bn").batch_statistics == "never"
    assert model.get_layer("bn").batch_statistics == "auto"
    assert "batch_statistics" not in model.get_layer("bn").get_config()
