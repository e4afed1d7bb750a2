"""Layers, images and small networks whose windows are followed."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

layers = keras.layers


def conv(filters=1, kernel=3, **kwargs):
    return layers.Conv2D(filters, kernel, padding=kwargs.pop("padding", "same"), **kwargs)


def image(size=64, channels=1):
    return keras.Input((size, size, channels))


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
