"""DeepLabv3+ as the paper has it, its thin head on mobile backbones, and what its decoder computes.

`test_smp.py` holds it against another implementation.
"""

import keras
import numpy as np
import pytest
from goldens.seeding import image

import zoo
from zoo.dilation import analyse
from zoo.errors import InputError
from zoo.labels import VOC21, numbered
from zoo.layers.resize import resize_bilinear
from zoo.models import registry


def build(backbone, label_set=VOC21, **settings):
    return registry.resolve(f"deeplabv3_plus_{backbone}").build()(label_set=label_set, **settings)


def filters(model, name):
    return model.get_layer(name).filters


def test_the_papers_network():
    """Section 4.1: 48 channels of c2, two convolutions of 256; section 3.2: separable; no multi-grid."""
    model = build("resnet50", input_shape=(512, 512, 3))
    low = model.get_layer("decoder.low_level.conv")
    assert low.input is model.get_layer("backbone.stage1.block2.relu").output and low.filters == 48
    assert model.get_layer("decoder.concat").output.shape == (None, 128, 128, 304)
    last = [
        layer.name
        for layer in model.layers
        if layer.name.startswith("decoder.conv") and "conv.conv" not in layer.name
    ]
    assert [n for n in last if n.endswith("pointwise.conv")] == [
        "decoder.conv1.pointwise.conv",
        "decoder.conv2.pointwise.conv",
    ]
    assert {filters(model, f"decoder.conv{i}.pointwise.conv") for i in (1, 2)} == {256}
    assert [model.get_layer(f"aspp.conv{i}.depthwise.conv").rate for i in (1, 2, 3)] == [6, 12, 18]
    assert [model.get_layer(f"backbone.stage4.block{b}.middle.conv").rate for b in range(3)] == [1, 2, 2]
    assert model.get_layer("decoder.conv1.depthwise.bn") is not None
    at_8 = build("resnet50", output_stride=8)
    assert [at_8.get_layer(f"aspp.conv{i}.depthwise.conv").rate for i in (1, 2, 3)] == [12, 24, 36]


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "mobilenet_v3_large"])
def test_the_head_of_a_mobile_backbone_is_thin(backbone):
    thin = build(backbone)
    names = ("aspp.conv0.conv", "aspp.project.conv", "decoder.conv2.pointwise.conv")
    assert [filters(thin, name) for name in names] == [64, 64, 64]
    wide = build(backbone, aspp_channels=256, decoder_channels=128, low_level_channels=32, decoder_convs=3)
    assert [filters(wide, name) for name in names] == [256, 256, 128]
    assert (filters(wide, "decoder.low_level.conv"), filters(wide, "decoder.conv3.pointwise.conv")) == (
        32,
        128,
    )
    whole = build(backbone, separable=False, separable_decoder=False, decoder_convs=1)
    assert whole.get_layer("aspp.conv1.conv").kernel_size == (3, 3)
    assert whole.get_layer("decoder.conv1.conv").kernel_size == (3, 3)
    assert not [layer for layer in whole.layers if "pointwise" in layer.name]


def test_the_decoder_is_what_the_paper_says():
    """Its layers one by one, from the features to the logits."""
    model = build("mobilenet_v2", numbered(3), width=0.25, aspp_channels=8, decoder_channels=8, dropout=0.0)
    parts = ("aspp.project.relu", "decoder.low_level.relu", "decoder.concat", "decoder.conv2.pointwise.relu")
    names = {name: model.get_layer(name).output for name in (*parts, "classifier")}
    x = image(65, 97)[None]
    got = keras.Model(model.input, {**names, "logits": model.output})(x)
    low = got["decoder.low_level.relu"]
    assert low.shape[1:3] == (17, 25)
    enlarged = resize_bilinear(got["aspp.project.relu"], low.shape[1:3], convention="half_pixel")
    np.testing.assert_allclose(got["decoder.concat"], np.concatenate([enlarged, low], -1), atol=1e-6)
    kernel, bias = (np.asarray(v) for v in model.get_layer("classifier").weights)
    scores = np.asarray(got["decoder.conv2.pointwise.relu"]) @ kernel[0, 0] + bias
    np.testing.assert_allclose(got["classifier"], scores, atol=1e-5)
    logits = resize_bilinear(scores, (65, 97), convention="half_pixel")
    np.testing.assert_allclose(got["logits"], logits, atol=1e-5)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("convention", ["torchvision", "tf_deeplab", "tf_deeplab_folded", "smp"])
def test_every_convention_gives_the_size_of_the_image(convention, output_stride):
    options = {"convention": convention, "output_stride": output_stride, "width": 0.25, "auxiliary": True}
    outputs = build("mobilenet_v2", numbered(3), **options)(image(33, 50)[None])
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "logits": (1, 33, 50, 3),
        "auxiliary": (1, 33, 50, 3),
    }
    fixed = build("mobilenet_v2", numbered(3), input_shape=(33, 50, 3), **options)
    assert {tuple(value.shape) for value in fixed.output.values()} == {(None, 33, 50, 3)}


@pytest.mark.parametrize("convention", ["tf_deeplab", "smp"])
def test_any_size_is_the_image_extended_with_the_mean(convention):
    """By less than a cell; the logits of what was added are cut."""
    model = build("mobilenet_v2", numbered(3), width=0.25, convention=convention)
    height, width, rest = 49, 70, 1 if convention == "tf_deeplab" else 0
    full = [side + (rest - side) % 16 for side in (height, width)]
    mean = {"tf_deeplab": 128.0, "smp": 255 * np.array([0.485, 0.456, 0.406])}[convention]
    padded = np.broadcast_to(np.asarray(mean, "float32"), (1, *full, 3)).copy()
    padded[:, :height, :width] = image(height, width)
    wanted = np.asarray(model(padded))[:, :height, :width]
    np.testing.assert_allclose(model(image(height, width)[None]), wanted, atol=1e-5)


def test_analysis_ends_at_the_encoder():
    model = build("mobilenet_v2", width=0.25)
    found = analyse(model)
    assert found.layer == "aspp.dropout"
    assert found.output_stride == (16, 16)
    assert "aspp.pool.mean" in found.context
    assert analyse(model, layer="decoder.low_level.relu").output_stride == (4, 4)
    with pytest.raises(InputError, match=r"'decoder\.resize' enlarges its map"):
        analyse(model, layer="decoder.conv1.pointwise.relu")


@pytest.mark.parametrize("setting", ["low_level_channels", "decoder_channels", "decoder_convs"])
@pytest.mark.parametrize("value", [0, True, 1.5])
def test_impossible_decoders(setting, value):
    with pytest.raises(InputError, match="of the decoder must be a positive integer, not"):
        zoo.load("deeplabv3_plus", weights=None, settings={setting: value})
