"""Coverage of built models against the gradients and perturbations of the models themselves."""

import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import zoo.dilation as dilation
from zoo.dilation import Layer, analyse, coverage, receptive_field
from zoo.errors import InputError

layers = keras.layers


def conv(filters=1, kernel=3, **kwargs):
    return layers.Conv2D(filters, kernel, padding=kwargs.pop("padding", "same"), **kwargs)


def image(size=64, channels=1):
    return keras.Input((size, size, channels))


def paths_by_gradient(model, layer, position):
    """Counts paths with TensorFlow itself: the gradient of a linear model whose weights are all 1."""
    import tensorflow as tf

    for weight in model.weights:
        weight.assign(tf.zeros_like(weight) if "bias" in weight.path else tf.ones_like(weight))
    inner = keras.Model(model.inputs, model.get_layer(layer).output)
    x = tf.Variable(tf.zeros((1, *model.inputs[0].shape[1:])))
    with tf.GradientTape() as tape:
        y = inner(x)[0, position[0], position[1], 0]
    return tape.gradient(y, x).numpy()[0, ..., 0]


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


def strided_residual():
    x = inputs = image()
    x = conv(kernel=7, strides=2)(x)
    short = conv(kernel=1, strides=2)(x)
    x = conv(strides=2)(x)
    x = conv(dilation_rate=2, name="dilated")(x)
    x = layers.Add(name="sum")([x, short])
    return keras.Model(inputs, layers.UpSampling2D(4, name="full")(x))


def padded_residual():
    x = inputs = image()
    x = layers.ZeroPadding2D(3)(x)
    x = conv(kernel=7, strides=2, padding="valid")(x)
    short = layers.Cropping2D(((1, 2), (2, 1)))(x)
    x = conv(padding="valid")(layers.ZeroPadding2D(((1, 0), (0, 1)))(x))
    x = layers.Cropping2D(((1, 1), (1, 1)))(x)
    return keras.Model(inputs, layers.Add(name="sum")([x, short]))


def parallel_branches():
    x = inputs = image()
    x = layers.AveragePooling2D(2)(x)
    branches = [conv(kernel=1)(x), *(conv(dilation_rate=rate)(x) for rate in (2, 4))]
    x = layers.Concatenate()(branches)
    return keras.Model(inputs, conv(kernel=(1, 3), name="sum")(x))


def shared_layer():
    x = inputs = image()
    twice = conv(name="twice", dilation_rate=3)
    return keras.Model(inputs, conv(name="sum")(layers.Add()([twice(twice(x)), x])))


def nested_models():
    block_in = image(None)
    inner = keras.Model(block_in, layers.Add()([conv()(block_in), block_in]), name="inner")
    outer = keras.Sequential([keras.Input((64, 64, 1)), conv(strides=2), inner], name="outer")
    inputs = image()
    return keras.Model(inputs, conv(dilation_rate=2, name="sum")(outer(inputs)))


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


def unet():
    x = inputs = image()
    low = conv(name="low")(layers.MaxPooling2D(2)(x))
    x = layers.Concatenate()([conv()(x), layers.UpSampling2D(2, name="up")(low)])
    return keras.Model(inputs, conv(name="mix")(x))


def attention():
    inputs = image(8)
    return keras.Model(inputs, conv()(layers.MultiHeadAttention(1, 4)(inputs, inputs)))


def transposed():
    inputs = image(8)
    x = layers.Conv2DTranspose(1, 3, padding="same")(inputs)
    return keras.Model(inputs, conv()(x))


def subsampled():
    inputs = image(8)
    return keras.Model(inputs, conv()(inputs[:, ::2, ::2]))


def hidden():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = conv()

        def call(self, x):
            return self.inner(x)

    inputs = image(8)
    return keras.Model(inputs, conv()(Block()(inputs)))


def channels_first():
    inputs = keras.Input((8, 8, 8))
    x = layers.MaxPooling2D(1, data_format="channels_first")(inputs)
    return keras.Model(inputs, conv()(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (unet, "'up' enlarges"),
        (attention, "cannot be followed"),
        (transposed, "cannot be followed"),
        (subsampled, "cannot be followed"),
        (hidden, "cannot be followed"),
        (channels_first, "channels_first"),
    ],
)
def test_what_cannot_be_followed_is_refused(build, message):
    with pytest.raises(InputError, match=message) as error:
        analyse(build())
    assert "\n" not in str(error.value)


def test_ways_around_what_cannot_be_followed():
    assert analyse(unet(), layer="low").receptive_field == (6, 6)


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: "deeplab", "expected a keras.Model; got str"),
        (Subclassed, "functional or sequential"),
        (lambda: keras.Sequential([conv()]), "functional or sequential"),
        (lambda: keras.Model(x := keras.Input((5,)), layers.Dense(1)(x)), "one image input"),
        (
            lambda: keras.Model([a := image(), b := image()], layers.Add()([a, b])),
            "one image input",
        ),
        (lambda: keras.Model(x := image(), [conv()(x), conv()(x)]), "2 outputs"),
        (lambda: keras.Model(x := image(), layers.Flatten()(x)), "no map of positions"),
    ],
)
def test_models_that_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        analyse(build())


def test_layer_names_that_are_refused():
    with pytest.raises(InputError, match=r"no layer 'dilate'.*near it are dilated"):
        analyse(strided_residual(), layer="dilate")
    with pytest.raises(InputError, match="called 2 times"):
        analyse(shared_layer(), layer="twice")


def test_layers_from_elsewhere_are_named():
    class Halve(keras.layers.Layer):
        def call(self, x):
            return x / 2

    inputs = image()
    found = analyse(keras.Model(inputs, conv()(Halve(name="halve")(inputs))))
    assert found.assumed_pointwise == ("halve",)


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
