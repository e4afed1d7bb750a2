"""Batch norm folded into convolutions: exactly, or not at all."""

import keras
import numpy as np
import pytest
from support.networks import images
from support.rewrites import BATCH_NORM, kinds, one_layer, rewritten, run
from support.tiny_export import seeded

from zoo.export.deploy import REWRITES, rewrite
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D, FusedBatchNormalization

CONVOLUTIONS = {
    "dense": lambda: DilatedConv2D(8, kernel_size=3, name="c"),
    "dense_bias": lambda: DilatedConv2D(8, kernel_size=(1, 3), use_bias=True, name="c"),
    "dilated": lambda: DilatedConv2D(8, kernel_size=3, rate=3, name="c"),
    "strided": lambda: DilatedConv2D(8, kernel_size=3, strides=2, padding="symmetric", name="c"),
    "valid": lambda: DilatedConv2D(8, kernel_size=3, rate=2, padding="valid", name="c"),
    "depthwise": lambda: DilatedDepthwiseConv2D(kernel_size=3, name="c"),
    "depthwise_dilated": lambda: DilatedDepthwiseConv2D(kernel_size=3, rate=2, use_bias=True, name="c"),
    "keras": lambda: keras.layers.Conv2D(8, 3, dilation_rate=2, padding="same", name="c"),
    "keras_groups": lambda: keras.layers.Conv2D(8, 3, groups=2, use_bias=False, name="c"),
    "keras_depthwise": lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="c"),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("norm", BATCH_NORM)
def test_fold_batch_norm(kind, norm):
    for size, options in (
        ((11, 14), {"epsilon": 1e-5}),
        ((12, 9), {"epsilon": 0.3, "scale": False}),
        ((8, 8), {"center": False}),
    ):
        model = one_layer(CONVOLUTIONS[kind](), norm(name="n", **options), keras.layers.ReLU(name="r"))
        before = [w.numpy().copy() for w in model.weights]
        new, done = rewritten(model, size, "fold_batch_norm")
        assert not set(BATCH_NORM) & set(kinds(new))
        assert new.count_params() == model.count_params() - done["fold_batch_norm"].saved["parameters"]
        assert [entry for entry in done.values() if entry.applied] == [done["fold_batch_norm"]]
        assert len(model.get_layer("c")._inbound_nodes) == 1  # the model was not called again
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))


def test_each_layer_has_its_own_epsilon():
    layers = [
        DilatedConv2D(5, kernel_size=1, name="a"),
        FusedBatchNormalization(epsilon=1e-5, name="a.bn"),
        DilatedConv2D(5, kernel_size=1, name="b"),
        FusedBatchNormalization(epsilon=0.9, name="b.bn"),
    ]
    model = one_layer(*layers)
    _, done = rewritten(model, (5, 7), "fold_batch_norm")
    assert done["fold_batch_norm"].places == 2


def test_normalization_that_cannot_be_folded_stays():
    """Behind a sum, an activation, a convolution that is read twice or has an activation, other axes."""
    image = keras.Input((9, 9, 4), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization(name="first")(x)
    twice = DilatedConv2D(4, kernel_size=3, name="twice")(x)
    x = keras.layers.Add()([twice, keras.layers.BatchNormalization(name="second")(twice)])
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="active")(x)
    x = keras.layers.BatchNormalization(name="third")(x)
    x = keras.layers.Conv2D(9, 1, name="columns")(x)
    x = keras.layers.BatchNormalization(axis=2, name="fourth")(x)
    model = seeded(keras.Model(image, x))
    new, done = rewritten(model, (9, 9))
    assert sum(kind in BATCH_NORM for kind in kinds(new or model)) == 4
    assert done["fold_batch_norm"].places == 0


def test_half_precision_is_left_alone():
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    conv = DilatedConv2D(4, kernel_size=3, name="c", dtype=policy)
    model = one_layer(conv, keras.layers.BatchNormalization(name="n", dtype=policy))
    new, done = rewrite(model, input_size=(8, 8))
    assert done[list(REWRITES).index("fold_batch_norm")].places == 0
    x = images((8, 8))[..., :1].repeat(6, -1)
    np.testing.assert_array_equal(run(new, x), run(model, x))


def test_layers_called_twice():
    """A shared convolution with two normalizations becomes two; one without stays shared."""
    image = keras.Input((None, None, 4), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    conv, plain = DilatedConv2D(4, kernel_size=3, name="c"), DilatedConv2D(4, kernel_size=1, name="p")
    first = keras.layers.BatchNormalization(epsilon=0.1, name="n1")(conv(x))
    second = keras.layers.BatchNormalization(name="n2")(conv(first))
    model = seeded(keras.Model(image, keras.layers.Add()([plain(first), plain(second)])))
    new, done = rewritten(model, (7, 10))
    assert done["fold_batch_norm"].places == 2
    assert len(new.get_layer("p")._inbound_nodes) == 2
