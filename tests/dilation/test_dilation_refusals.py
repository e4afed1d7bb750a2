"""Models and layers whose way back cannot be followed are refused by name."""

import keras
import pytest
from support.dilation_networks import (
    conv,
    image,
    layers,
    shared_layer,
    strided_residual,
)

from zoo.dilation import analyse
from zoo.errors import InputError


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
