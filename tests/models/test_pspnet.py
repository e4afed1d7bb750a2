"""PSPNet against an independent statement of the paper, and adaptive pooling at any size."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.torch_parity import SIZES, check_segmentation, give_seeded

from zoo.errors import InputError
from zoo.labels import VOC21
from zoo.layers import AdaptiveAveragePooling2D
from zoo.models.architectures.pspnet import pspnet
from zoo.models.conventions import TORCHVISION, resolve
from zoo.models.heads.pyramid_pooling import BINS, pyramid_pooling
from zoo.weights.name_maps.base import NameMap
from zoo.weights.name_maps.torchvision import resnet_layers

LAYERS = {
    "c2": "backbone.stage1.block2.relu",
    "c5": "backbone.stage4.block2.relu",
    "fused": "pyramid.fuse.relu",
}


def unit(ours, theirs):
    return {f"{ours}.conv": f"{theirs}.0", f"{ours}.bn": f"{theirs}.1"}


def golden_map():
    """Our layers → the names in the module of `goldens/make_pspnet.py`."""
    layers = dict(resnet_layers("resnet50", prefix="backbone."))
    for index, bins in enumerate(BINS):
        layers |= unit(f"pyramid.level{bins}", f"levels.{index}")
    layers |= unit("pyramid.fuse", "fuse") | unit("auxiliary.reduce", "aux")
    layers |= {"classifier": "classifier", "auxiliary.classifier": "aux_classifier"}
    return NameMap(key="pspnet_golden", layout="torch", layers=layers)


@pytest.mark.parametrize("resize", ["half_pixel", "align_corners"])
def test_pspnet_equals_an_independent_statement(resize):
    convention = dataclasses.replace(TORCHVISION, name="golden", resize=resize)
    model = pspnet(backbone="resnet50", label_set=VOC21, convention=convention, auxiliary=True)
    give_seeded(model, golden_map())
    for size in SIZES:
        check_segmentation(model, f"pspnet_{resize}.npz", LAYERS, size)


def reference_means(x, bins):
    """Each cell's mean by its definition, one cell at a time."""
    height, width = x.shape[1:3]
    result = np.zeros((x.shape[0], bins, bins, x.shape[3]), np.float64)
    for i in range(bins):
        rows = slice(i * height // bins, -(-(i + 1) * height // bins))
        for j in range(bins):
            columns = slice(j * width // bins, -(-(j + 1) * width // bins))
            result[:, i, j] = x[:, rows, columns].astype(np.float64).mean((1, 2))
    return result


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (6, 6), (7, 13), (12, 9), (61, 60)])
@pytest.mark.parametrize("static", [True, False])
def test_adaptive_pooling_at_any_size(size, static):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    inputs = keras.Input((*size, 3) if static else (None, None, 3))
    for bins in BINS:
        layer = AdaptiveAveragePooling2D(bins)
        model = keras.Model(inputs, layer(inputs))
        assert model.output_shape == (None, bins, bins, 3)
        np.testing.assert_allclose(model(x), reference_means(x, bins), atol=1e-6)


def test_adaptive_pooling_of_pytorch():
    """Values that ``torch.nn.functional.adaptive_avg_pool2d`` gives for 0…34 in five rows of seven."""
    x = np.arange(35, dtype="float32").reshape(1, 5, 7, 1)
    got = np.asarray(AdaptiveAveragePooling2D(3)(x))[0, :, :, 0]
    np.testing.assert_allclose(got, [[4.5, 6.5, 8.5], [15.0, 17.0, 19.0], [25.5, 27.5, 29.5]], atol=1e-5)


def test_gradient_of_adaptive_pooling():
    """Each input pixel's gradient is the sum of 1 / (cell's size) over the cells that hold it."""
    x = tf.Variable(tf.zeros((1, 4, 5, 1)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(AdaptiveAveragePooling2D(3)(x))
    rows = np.array([1 / 2, 1 / 2 + 1 / 2, 1 / 2 + 1 / 2, 1 / 2])
    columns = np.array([1 / 2, 1 / 2 + 1 / 3, 1 / 3, 1 / 3 + 1 / 2, 1 / 2])
    np.testing.assert_allclose(tape.gradient(loss, x)[0, :, :, 0], np.outer(rows, columns), atol=1e-6)


def test_levels_have_a_quarter_of_the_channels_each():
    model = pspnet(backbone="resnet50", label_set=VOC21, input_shape=(64, 96, 3))
    for bins in BINS:
        assert model.get_layer(f"pyramid.level{bins}.relu").output.shape == (None, bins, bins, 512)
    assert model.get_layer("pyramid.concat").output.shape == (None, 8, 12, 4096)
    assert model.get_layer("pyramid.fuse.relu").output.shape == (None, 8, 12, 512)


def test_the_authors_convention():
    """Stem, dilation and resizing of the published Caffe description."""
    model = pspnet(backbone="resnet50", label_set=VOC21, convention="caffe_pspnet")
    rates = [model.get_layer(f"backbone.stage{s}.block0.middle.conv").rate for s in (3, 4)]
    assert rates == [2, 4]
    assert model.get_layer("backbone.stem3.conv").filters == 128
    assert model.get_layer("logits").convention == "align_corners"
    assert model.get_layer("pyramid.level2.resize").convention == "align_corners"
    assert model.get_layer("normalize").order == "bgr"


@pytest.mark.parametrize("bins", [(), (0,), (1, 1), (1.5,)])
def test_impossible_bins(bins):
    inputs = keras.Input((8, 8, 4))
    with pytest.raises(InputError, match="bins must be distinct positive integers"):
        pyramid_pooling(inputs, norm=None, resize="half_pixel", bins=bins)
    with pytest.raises(InputError, match="bins must be a positive integer"):
        AdaptiveAveragePooling2D(bins)


def test_convention_names():
    assert resolve("caffe_pspnet").late_dilation is False
