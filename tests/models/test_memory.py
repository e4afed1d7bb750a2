"""A model that nobody holds any more leaves nothing in memory, whatever it was used for."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.training_fixtures import make_batches, pixel_loss, tiny_settings
from tensorflow.python.framework import ops

import zoo
from zoo import export
from zoo.labels import numbered
from zoo.layers import (
    DilatedDepthwiseConv2D,
    dilated_conv2d,
    dilated_depthwise_conv2d,
    dilated_valid_conv2d,
    operations,
)
from zoo.models.heads.classifier import classify
from zoo.models.segmentation_model import SegmentationModel
from zoo.training.engine import fit
from zoo.training.losses import SparseCrossEntropy

SIZE = 33


def dilated_model() -> keras.Model:
    """A network of one dilated depthwise convolution and a classifier."""
    image = keras.Input((None, None, 3), name="image")
    x = DilatedDepthwiseConv2D(kernel_size=3, rate=2, name="backbone.depthwise.conv")(image)
    return SegmentationModel(
        image, classify(x, image, label_set=numbered(3), convention="half_pixel"), name="small"
    )


def segment(model, folder):
    zoo.segment(model, np.zeros((SIZE, SIZE, 3), np.uint8))


def predict(model, folder):
    model.predict(np.zeros((1, SIZE, SIZE, 3), np.float32), verbose=0)


def train(model, folder):
    fit(model, make_batches(size=SIZE, batch=2), loss=pixel_loss, settings=tiny_settings(2, epoch_steps=2))


def train_by_keras(model, folder):
    model.compile("adam", SparseCrossEntropy())
    model.fit(np.zeros((2, SIZE, SIZE, 3), np.float32), np.zeros((2, SIZE, SIZE), np.uint8), verbose=0)


def export_it(model, folder):
    export.to_saved_model(model, folder / "saved", input_size=(SIZE, SIZE))


def graphs() -> int:
    """Graphs in memory, without those of `tf.data`, which keeps a few nodes of its own counters."""
    gc.collect()
    alive = [thing for thing in gc.get_objects() if isinstance(thing, tf.Graph)]
    return len([graph for graph in alive if not getattr(graph, "name", "").startswith("Dataset_")])


@pytest.mark.parametrize("use", [segment, predict, train, train_by_keras, export_it])
def test_no_graph_outlives_its_model(tmp_path, use):
    before = None
    for index in range(2):
        model = dilated_model()
        (tmp_path / str(index)).mkdir()
        use(model, tmp_path / str(index))
        del model
        found = graphs(), len(ops.gradient_registry.list())
        before = before or found
    assert found == before


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("convolve", [dilated_conv2d, dilated_valid_conv2d, dilated_depthwise_conv2d])
def test_gradients_of_a_graph_are_those_of_eager_execution(monkeypatch, convolve, native):
    """By a tape in a function, by a tape around it, and twice."""
    monkeypatch.setattr(operations, "_has_native_gradient", lambda *_: native)
    depth = 1 if convolve is dilated_depthwise_conv2d else 3
    x = tf.random.stateless_normal((2, 11, 12, 4), (1, 2))
    kernel = tf.random.stateless_normal((3, 3, 4, depth), (3, 4))

    def loss(x, kernel):
        return tf.reduce_sum(tf.sin(convolve(x, kernel, rate=2)))

    def gradients(function, x, kernel):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            value = function(x, kernel)
        return tape.gradient(value, (x, kernel))

    def second(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(x)
            by_kernel = gradients(loss, x, kernel)[1]
        return tape.gradient(by_kernel, x)

    wanted = gradients(loss, x, kernel)
    inside = tf.function(lambda x, kernel: gradients(loss, x, kernel))(x, kernel)
    around = gradients(tf.function(loss), x, kernel)
    for found in (inside, around):
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    if not native or depth == 1:
        np.testing.assert_allclose(tf.function(second)(x, kernel), second(x, kernel), rtol=1e-3, atol=1e-3)
