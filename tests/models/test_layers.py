"""The convolution layers: numbers and gradients against TensorFlow's composite operations."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers import (
    DilatedConv2D,
    DilatedDepthwiseConv2D,
    dilated_conv2d,
    dilated_depthwise_conv2d,
    dilated_valid_conv2d,
    forward_only,
)

CASES = [(2, (9, 12)), (3, (13, 8)), (6, (11, 11)), (18, (7, 9))]


def random(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def gradients(function, *inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
        loss = tf.reduce_sum(y * random(*y.shape, seed=9))
    return [y, *tape.gradient(loss, inputs)]


def relative_error(got, wanted):
    return float(tf.reduce_max(tf.abs(got - wanted)) / (tf.reduce_max(tf.abs(wanted)) + 1e-12))


def composite(x, kernel, rate):
    return tf.nn.convolution(x, kernel, padding="SAME", dilations=rate)


def composite_depthwise(x, kernel, rate):
    return tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "SAME", dilations=[rate, rate])


def composite_valid(x, kernel, rate):
    return tf.nn.convolution(x, kernel, padding="VALID", dilations=rate)


def worst_errors_without_padding():
    """As `worst_errors`, for VALID kernels, one of which spans nearly the whole map."""
    worst = 0.0
    for size, rate in ((3, 2), (7, 4), (5, 3)):
        x, kernel = random(2, 27, 29, 5), random(size, size, 5, 4, seed=1)
        for run in (lambda f: f, tf.function):
            got = gradients(run(lambda a, b, r=rate: dilated_valid_conv2d(a, b, rate=r)), x, kernel)
            wanted = gradients(lambda a, b, r=rate: composite_valid(a, b, r), x, kernel)
            worst = max(worst, *(relative_error(g, w) for g, w in zip(got, wanted, strict=True)))
    return worst


def worst_errors():
    """Largest relative error of output and both gradients, dense and depthwise, over all cases."""
    worst = 0.0
    for rate, (height, width) in CASES:
        x = random(2, height, width, 5)
        for ours, theirs, shape in (
            (dilated_conv2d, composite, (3, 3, 5, 4)),
            (dilated_depthwise_conv2d, composite_depthwise, (3, 3, 5, 1)),
        ):
            kernel = random(*shape, seed=1)
            for run in (lambda f: f, tf.function):
                got = gradients(run(lambda a, b, f=ours, r=rate: f(a, b, rate=r)), x, kernel)
                wanted = gradients(lambda a, b, f=theirs, r=rate: f(a, b, r), x, kernel)
                worst = max(worst, *(relative_error(g, w) for g, w in zip(got, wanted, strict=True)))
    return worst


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_gradients_equal_the_composite_ones(onednn):
    """oneDNN is chosen when TensorFlow starts, so each setting needs a process of its own."""
    code = (
        "import json, test_layers as t; from zoo.layers.operations import _has_native_gradient as n;"
        "worst = max(t.worst_errors(), t.worst_errors_without_padding());"
        "print(json.dumps([worst, n('CPU', 'float32')]))"
    )
    env = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "PYTHONPATH": os.path.dirname(__file__)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    error, native = json.loads(run.stdout.splitlines()[-1])
    assert error < 1e-5
    if onednn == "0":
        assert not native, "the fallback was not what ran"


def test_a_wrong_gradient_would_be_seen():
    """The comparison above is able to fail."""
    x, kernel = random(1, 9, 9, 2), random(3, 3, 2, 3, seed=1)
    got = gradients(lambda a, b: composite(a, b, 2), x, kernel)
    wanted = gradients(lambda a, b: composite(a, b, 3), x, kernel)
    assert relative_error(got[2], wanted[2]) > 0.1


@pytest.mark.parametrize(
    "ours, theirs, filters, rate",
    [
        (dilated_conv2d, composite, 2, 2),
        (dilated_depthwise_conv2d, composite_depthwise, 1, 2),
        (dilated_depthwise_conv2d, composite_depthwise, 1, 5),  # phases smaller than the kernel
    ],
)
def test_second_order_gradients(ours, theirs, filters, rate):
    x, kernel = random(1, 7, 7, 2), random(3, 3, 2, filters, seed=1)

    def penalty(function):
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(function(x, kernel) ** 2)
            loss = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return outer.gradient(loss, kernel)

    got = penalty(lambda a, b: ours(a, b, rate=rate))
    assert relative_error(got, penalty(lambda a, b: theirs(a, b, rate))) < 1e-5


@pytest.mark.parametrize("rate", [2, 4, 11])
def test_gradients_at_a_size_known_only_at_run_time(rate):
    x, kernel = random(2, 9, 12, 3), random(3, 3, 3, 1, seed=1)
    weights = random(2, 9, 12, 3, seed=9)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((3, 3, 3, 1))])
    def ours(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            loss = tf.reduce_sum(dilated_depthwise_conv2d(x, kernel, rate=rate) * weights)
        return tape.gradient(loss, [x, kernel])

    wanted = gradients(lambda a, b: composite_depthwise(a, b, rate), x, kernel)[1:]
    for got, expected in zip(ours(x, kernel), wanted, strict=True):
        assert relative_error(got, expected) < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_has_gradients(dtype):
    """CPU kernels lack the native 16-bit gradient even with oneDNN."""
    x, kernel = tf.cast(random(1, 9, 9, 4), dtype), tf.cast(random(3, 3, 4, 4, seed=1), dtype)
    got = gradients(lambda a, b: tf.cast(dilated_conv2d(a, b, rate=2), tf.float32), x, kernel)
    wanted = gradients(lambda a, b: composite(a, b, 2), tf.cast(x, "float32"), tf.cast(kernel, "float32"))
    for g, w in zip(got, wanted, strict=True):
        assert relative_error(tf.cast(g, tf.float32), w) < 0.03


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("rate", [2, 7])
def test_half_precision_has_depthwise_gradients(dtype, rate):
    x, kernel = tf.cast(random(1, 9, 9, 4), dtype), tf.cast(random(3, 3, 4, 1, seed=1), dtype)
    got = gradients(lambda a, b: tf.cast(dilated_depthwise_conv2d(a, b, rate=rate), tf.float32), x, kernel)
    wanted = gradients(
        lambda a, b: composite_depthwise(a, b, rate), tf.cast(x, "float32"), tf.cast(kernel, "float32")
    )
    for g, w in zip(got, wanted, strict=True):
        assert relative_error(tf.cast(g, tf.float32), w) < 0.03


def op_types(function, *inputs):
    graph = tf.function(function).get_concrete_function(*inputs).graph
    return {op.type for op in graph.get_operations()}


def test_graphs_hold_no_space_to_batch():
    x = tf.TensorSpec((None, None, None, 4))
    dense, depthwise = random(3, 3, 4, 4), random(3, 3, 4, 1)
    types = op_types(
        lambda x: dilated_depthwise_conv2d(dilated_conv2d(x, dense, rate=4), depthwise, rate=2), x
    )
    assert not {t for t in types if "SpaceToBatch" in t or "BatchToSpace" in t}
    assert "Conv2D" in types


def test_forward_only_traces_single_native_operations():
    x = tf.TensorSpec((1, 9, 9, 4))

    def both(x):
        x = dilated_conv2d(x, random(3, 3, 4, 4), rate=4)
        return dilated_depthwise_conv2d(x, random(3, 3, 4, 1), rate=2)

    with forward_only(depthwise="native"):
        types = op_types(both, x)
    assert {"Conv2D", "DepthwiseConv2dNative"} <= types
    assert not types & {"Transpose", "IdentityN"}
    with pytest.raises(InputError, match="'phases' or 'native'"), forward_only(depthwise="magic"):
        pass


@pytest.mark.parametrize("padding", ["same", "symmetric", "valid"])
@pytest.mark.parametrize("stride, rate", [(1, 1), (2, 1), (1, 2), (1, 3)])
@pytest.mark.parametrize("size", [(16, 17), (19, 14)])
def test_padding_and_shapes(padding, stride, rate, size):
    """Against an explicit loop-free reference: pad by hand, then VALID."""
    x = random(1, *size, 3)
    for layer in (
        DilatedConv2D(4, kernel_size=3, strides=stride, rate=rate, padding=padding),
        DilatedDepthwiseConv2D(kernel_size=3, strides=stride, rate=rate, padding=padding),
    ):
        y = layer(x)
        assert tuple(y.shape) == layer.compute_output_shape(x.shape)
        reach = 2 * rate
        pads = []
        for n in size:
            total = {"valid": 0, "symmetric": reach}.get(padding)
            if total is None:
                total = max((-(-n // stride) - 1) * stride + reach + 1 - n, 0)
            pads.append([total // 2, total - total // 2])
        padded = tf.pad(x, [[0, 0], *pads, [0, 0]])
        if isinstance(layer, DilatedConv2D):
            wanted = tf.nn.conv2d(padded, layer.kernel, stride, "VALID", dilations=rate)
        else:
            args = [1, stride, stride, 1], "VALID"
            wanted = tf.nn.depthwise_conv2d(padded, layer.kernel, *args, dilations=[rate, rate])
        assert relative_error(y, wanted) < 1e-5


def test_layers_round_trip_through_a_keras_file(tmp_path):
    x = keras.Input((None, None, 3))
    y = DilatedConv2D(4, kernel_size=(3, 1), rate=3, use_bias=True, kernel_regularizer="l2")(x)
    y = DilatedDepthwiseConv2D(kernel_size=3, strides=2, padding="symmetric")(y)
    model = keras.Model(x, y)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    image = random(1, 15, 10, 3)
    np.testing.assert_array_equal(again(image), model(image))
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel_size": 3, "strides": 2, "rate": 2}, "a stride or a rate, not both"),
        ({"kernel_size": 4, "rate": 2}, "odd sizes"),
        ({"kernel_size": 3, "padding": "reflect"}, "padding must be one of"),
        ({"kernel_size": 3, "rate": 0}, "rate must be a positive integer"),
        ({"kernel_size": 0}, "kernel_size must be"),
    ],
)
def test_bad_arguments_say_what_is_allowed(arguments, message):
    with pytest.raises(InputError, match=message):
        DilatedConv2D(8, **arguments)


def test_a_fresh_depthwise_layer_keeps_the_scale_of_its_input():
    layer = DilatedDepthwiseConv2D(kernel_size=3)
    y = layer(random(4, 32, 32, 256))
    assert 0.5 < float(tf.math.reduce_std(y)) < 3
