"""Coverage of built models against the gradients and perturbations of the models themselves."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from support.dilation_networks import (
    conv,
    image,
    layers,
    nested_models,
    padded_residual,
    parallel_branches,
    shared_layer,
    strided_residual,
)

import zoo.dilation as dilation
from zoo.dilation import Layer, analyse, coverage, receptive_field
from zoo.errors import InputError


def paths_by_gradient(model, layer, position):
    """Counts paths with TensorFlow itself: the gradient of a linear model whose weights are all 1."""
    import tensorflow as tf

    for weight in model.weights:
        weight.assign(tf.zeros_like(weight) if "bias" in weight.path else tf.ones_like(weight))
    inner = keras.Model(model.inputs, model.get_layer(layer).output)

    # In a graph the gradients of the kernels are left out, at which some processors end TensorFlow.
    @tf.function
    def gradient(x):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = inner(x)[0, position[0], position[1], 0]
        return tape.gradient(y, x)

    return gradient(tf.zeros((1, *model.inputs[0].shape[1:]))).numpy()[0, ..., 0]


def assert_equals_gradient(model, layer, position):
    """Compares counts and the place where they lie."""
    found = analyse(model, layer=layer)
    expected = np.zeros(model.inputs[0].shape[1:3])
    rows, columns = (
        stride * at + first
        for stride, at, first in zip(found.output_stride, position, found.origin, strict=True)
    )
    height, width = found.receptive_field
    expected[rows : rows + height, columns : columns + width] = found.counts
    np.testing.assert_allclose(paths_by_gradient(model, layer, position), expected, rtol=1e-6)


def test_a_plain_stack_is_the_stack_of_numbers():
    x = inputs = image()
    for rate in (1, 2, 5):
        x = conv(dilation_rate=rate)(x)
    found = analyse(keras.Model(inputs, x))
    assert np.array_equal(found.counts, coverage([1, 2, 5]))
    assert found.receptive_field == (17, 17)
    assert found.origin == (-8, -8)
    assert found.rates == ((1, 2, 5),)
    assert found.output_stride == (1, 1)
    assert len(found.holes) == 0


def test_gridding_of_equal_rates():
    x = inputs = image()
    for _ in range(3):
        x = conv(dilation_rate=2)(x)
    found = analyse(keras.Model(inputs, x))
    assert found.reached == (49, 169)
    assert np.array_equal(found.holes, dilation.holes([2, 2, 2]))
    assert not dilation.check(found.rates[0]).passes


@pytest.mark.parametrize(
    "build", [strided_residual, padded_residual, parallel_branches, shared_layer, nested_models]
)
@pytest.mark.parametrize("position", [(8, 7), (7, 8)])
def test_counts_equal_gradients(build, position):
    # The average of 2 × 2 cells has weights of 1/4; counted in paths they are 1.
    model = build()
    if build is parallel_branches:
        found = analyse(model, layer="sum")
        gradient = paths_by_gradient(model, "sum", position) * 4
        assert np.count_nonzero(gradient) == np.count_nonzero(found.counts)
        assert gradient.sum() == pytest.approx(found.counts.sum())
    else:
        assert_equals_gradient(model, "sum", position)


def test_odd_image_sizes_move_same_padding():
    x = inputs = keras.Input((65, 64, 1))
    x = conv(strides=2)(x)
    assert_equals_gradient(keras.Model(inputs, conv(strides=2, name="sum")(x)), "sum", (5, 5))


def test_zoo_layers():
    from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D

    x = inputs = image()
    x = DilatedConv2D(1, kernel_size=3, strides=2, padding="symmetric")(x)
    x = DilatedDepthwiseConv2D(kernel_size=3, rate=3)(x)
    x = DilatedConv2D(1, kernel_size=5, rate=2, padding="valid", name="last")(x)
    model = keras.Model(inputs, x)
    assert_equals_gradient(model, "last", (4, 5))
    assert analyse(model).stacks == ((Layer(3, 1, 2), Layer(3, 3), Layer(5, 2)),)


def test_a_rate_in_place_of_a_stride_reads_the_same_pixels():
    x = inputs = image()
    strided = conv()(conv(strides=2, padding="valid")(x))
    dense = conv(dilation_rate=2)(conv(padding="valid")(x))
    strided, dense = (analyse(keras.Model(inputs, y)) for y in (strided, dense))
    assert (strided.output_stride, dense.output_stride) == ((2, 2), (1, 1))
    assert strided.origin == dense.origin
    assert np.array_equal(strided.counts, dense.counts)


def test_default_layer_stands_before_the_resize():
    found = analyse(strided_residual())
    assert found.layer == "sum"
    assert found.output_stride == (4, 4)
    assert found.rates == ((2,),)
    assert receptive_field(found.stacks[0]) == found.receptive_field[0]


def test_default_layer_without_a_resize_is_the_output():
    assert analyse(parallel_branches()).layer == "sum"


def with_decoder(*, resized):
    """An encoder of stride 4, a decoder that enlarges its map twice, and the resize to the image."""
    inputs = image()
    low = conv(strides=2, name="low")(inputs)
    x = conv(strides=2, name="deep")(low)
    x = conv(dilation_rate=2, name="encoder")(x)
    x = layers.Concatenate()([layers.UpSampling2D(2, name="up")(x), low])
    x = conv(name="mix")(x)
    x = conv(name="fine")(layers.UpSampling2D(2)(x))
    return keras.Model(inputs, layers.Resizing(128, 128)(x) if resized else x)


def test_default_layer_stands_before_a_decoder():
    """The way back through an enlarged map is not followed, so that the encoder is what is told."""
    found = analyse(with_decoder(resized=True))
    assert (found.layer, found.output_stride, found.rates) == ("encoder", (4, 4), ((2,),))
    assert np.array_equal(found.counts, coverage([Layer(3, 1, 2), Layer(3, 1, 2), Layer(3, 2)]))
    assert dilation.dilation_input(with_decoder(resized=True)) == "deep"
    with pytest.raises(InputError, match="enlarges its map"):
        analyse(with_decoder(resized=True), layer="mix")
    with pytest.raises(InputError, match="enlarges its map"):  # where the decoder's map is what is asked for
        analyse(with_decoder(resized=False))


def test_parallel_branches_are_kept_apart():
    assert analyse(parallel_branches()).rates == ((2, 1), (4, 1), (1,))


def test_nested_layers_have_paths_as_names():
    inputs = image()
    inner = keras.Sequential([image(), conv(name="deep")], name="inner")
    found = analyse(keras.Model(inputs, conv()(inner(inputs))), layer="inner/deep")
    assert found.receptive_field == (3, 3)


def test_context_is_reported_and_left_out():
    x = inputs = image(None)
    x = conv()(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    x = layers.Multiply()([layers.Conv2D(1, 1)(gate), x])
    pooled = layers.AveragePooling2D(16, name="pyramid")(x)
    pooled = layers.UpSampling2D(16)(layers.Conv2D(1, 1)(pooled))
    x = layers.Concatenate()([x, pooled])
    found = analyse(keras.Model(inputs, conv(dilation_rate=2)(x)))
    assert found.context == ("squeeze", "pyramid")
    assert np.array_equal(found.counts, coverage([1, 2]))
    assert found.stacks == ((Layer(3), Layer(3, 2)),)


def test_context_alone_is_no_coverage():
    inputs = image()
    x = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    x = conv()(layers.UpSampling2D(64)(x))
    with pytest.raises(InputError, match="pooled context only"):
        analyse(keras.Model(inputs, x))


def test_deep_residual_nets_take_no_time_and_stay_finite():
    x = inputs = image(None)
    for _ in range(40):
        x = layers.Add()([conv(2)(x), conv(2)(x), conv(2, kernel=1)(x)])
    found = analyse(keras.Model(inputs, x))
    assert found.receptive_field == (81, 81)
    assert found.counts.sum() == pytest.approx(19.0**40)
    assert found.stacks == ((Layer(3),) * 40,)


def test_published_receptive_field_of_resnet50():
    # Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", table 1.
    found = analyse(keras.applications.ResNet50(weights=None, include_top=False))
    assert found.receptive_field == (483, 483)
    assert found.output_stride == (32, 32)


def test_plain_numbers_need_no_tensorflow():
    code = (
        "import sys, zoo.dilation as d; d.check([1, 2, 5]); d.suggest([2, 2]); d.coverage([2, 2]);"
        "sys.exit(bool({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
