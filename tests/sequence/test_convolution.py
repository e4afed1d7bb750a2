"""`DilatedConv1D` against taps added one by one, forward and backward, and what its graphs are made of."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.sequence import DilatedConv1D

CASES = [
    (kernel, rate, padding)
    for kernel, rate in ((1, 1), (2, 1), (2, 4), (3, 1), (3, 5), (4, 3), (16, 2))
    for padding in ("causal", "symmetric", "valid")
]


def by_taps(x, kernel, bias, *, rate, padding):
    """The sum of the taps, in float64."""
    span = rate * (len(kernel) - 1)
    front, behind = {"causal": (span, 0), "symmetric": (span // 2, span - span // 2), "valid": (0, 0)}[
        padding
    ]
    x = np.pad(x.astype(np.float64), [(0, 0), (front, behind), (0, 0)])
    length = x.shape[1] - span
    return sum(x[:, k * rate : k * rate + length] @ tap for k, tap in enumerate(kernel)) + bias


def layer_and_input(kernel, rate, padding, samples=70):
    keras.utils.set_random_seed(kernel * 100 + rate)
    layer = DilatedConv1D(5, kernel_size=kernel, rate=rate, padding=padding, bias_initializer="random_normal")
    x = np.random.default_rng(0).normal(size=(2, samples, 3)).astype(np.float32)
    layer.build(x.shape)
    return layer, x


@pytest.mark.parametrize(("kernel", "rate", "padding"), CASES)
def test_it_adds_the_taps(kernel, rate, padding):
    layer, x = layer_and_input(kernel, rate, padding)
    expected = by_taps(x, layer.kernel.numpy(), layer.bias.numpy(), rate=rate, padding=padding)
    found = layer(x)
    assert found.shape == layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)
    dynamic = layer(keras.Input((None, 3)))
    assert dynamic.shape == (None, None, 5)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(("kernel", "rate", "padding"), CASES)
def test_its_gradient_is_that_of_the_taps(kernel, rate, padding, traced):
    layer, x = layer_and_input(kernel, rate, padding)
    weights = np.random.default_rng(1).normal(size=layer.compute_output_shape(x.shape))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) * tf.constant(weights, tf.float32))
        return tape.gradient(total, [x, layer.kernel.value, layer.bias.value])

    found = (tf.function(gradients) if traced else gradients)(tf.constant(x))
    span = rate * (kernel - 1)
    front = {"causal": span, "symmetric": span // 2, "valid": 0}[padding]
    padded = np.pad(x.astype(np.float64), [(0, 0), (front, span), (0, 0)])
    by_x, length = np.zeros_like(padded), weights.shape[1]
    by_kernel = []
    for k, tap in enumerate(layer.kernel.numpy()):
        part = slice(k * rate, k * rate + length)
        by_kernel.append(np.einsum("bsc,bsf->cf", padded[:, part], weights))
        by_x[:, part] += weights @ tap.T
    np.testing.assert_allclose(found[0], by_x[:, front : front + x.shape[1]], atol=1e-4)
    np.testing.assert_allclose(found[1], by_kernel, atol=1e-3)
    np.testing.assert_allclose(found[2], weights.sum((0, 1)), atol=1e-3)


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_gradients_with_and_without_onednn(onednn):
    """The whole file of tests above, in a process that has it on or off."""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "gradient_is_that",
        __file__,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"{2 * len(CASES)} passed" in done.stdout


def test_no_graph_has_space_to_batch():
    layer, x = layer_and_input(2, 4, "causal")

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x))
        return tape.gradient(total, x)

    graph = step.get_concrete_function(tf.constant(x)).graph.as_graph_def()
    kinds = {node.op for node in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
    assert not [kind for kind in kinds if "ToBatch" in kind or "BatchTo" in kind]
    assert any(kind.startswith("Conv2D") for kind in kinds)


def test_it_is_saved(tmp_path):
    inputs = keras.Input((None, 3))
    x = DilatedConv1D(4, kernel_size=2, rate=8, padding="symmetric", use_bias=False)(inputs)
    model = keras.Model(inputs, x)
    model.save(tmp_path / "m.keras")
    found = keras.saving.load_model(tmp_path / "m.keras")
    sound = np.random.default_rng(0).normal(size=(1, 50, 3)).astype(np.float32)
    np.testing.assert_array_equal(found(sound), model(sound))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be a positive integer, not 0"),
        ({"kernel_size": 2, "rate": 1.5}, "rate must be a positive integer, not 1.5"),
        ({"kernel_size": 2, "padding": "same"}, "one of causal, symmetric, valid, not 'same'"),
    ],
)
def test_bad_settings(words, message):
    with pytest.raises(InputError, match=message):
        DilatedConv1D(4, **words)
