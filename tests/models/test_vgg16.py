"""VGG16 as a front end that pads nothing."""

import math

import keras
import numpy as np
import pytest

from zoo.dilation.model import analyse
from zoo.models.backbones import BACKBONES
from zoo.models.backbones.vgg16 import STAGES, vgg16
from zoo.weights import name_maps
from zoo.weights.name_maps.conversion import convert

MARGIN = BACKBONES["vgg16"].margin


def front_end(**options):
    image = keras.Input((None, None, 3))
    return keras.Model(image, vgg16(image, width=1 / 32, **options))


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
def test_margin_gives_a_map_of_the_rounded_up_size(output_stride):
    model = front_end(output_stride=output_stride)
    for side in (1, 8, 31, 33, 64):
        x = np.zeros((1, side + 2 * MARGIN, side + 2 * MARGIN, 3), "float32")
        assert model(x)["fc7"].shape[1:3] == (-(-side // output_stride),) * 2
    field = analyse(keras.Model(model.input, model.output["fc7"]), layer="backbone.fc7.conv").receptive_field
    assert field == (2 * MARGIN + output_stride,) * 2


@pytest.mark.parametrize("output_stride, rates", [(8, (2, 4)), (16, (1, 2)), (32, (1, 1)), (4, (4, 8))])
def test_rates_follow_the_running_stride(output_stride, rates):
    model = front_end(output_stride=output_stride)
    layers = ("backbone.stage5.conv1.conv", "backbone.fc6.conv")
    assert tuple(model.get_layer(name).rate for name in layers) == rates
    pools = [layer for layer in model.layers if layer.name.endswith(".pool")]
    assert len(pools) == int(math.log2(output_stride))


def test_imagenet_file_fills_the_front_end():
    """torchvision's shapes; its fully connected layer reads (channels, rows, columns) of a 7 × 7 map."""
    image = keras.Input((400, 400, 3))
    model = keras.Model(image, vgg16(image))
    name_map = name_maps.resolve("torchvision_vgg16")
    source = {"classifier.6.weight": np.zeros((1000, 4096), np.float32)}
    for layer, prefix in name_map.layers.items():
        rows, columns, inputs, outputs = model.get_layer(layer).kernel.shape
        dense = prefix.startswith("classifier")
        shape = (outputs, inputs * rows * columns) if dense else (outputs, inputs, rows, columns)
        source[f"{prefix}.weight"] = np.broadcast_to(np.float32(0), shape)
        source[f"{prefix}.bias"] = np.zeros(outputs, np.float32)
    source["classifier.0.weight"] = np.broadcast_to(np.arange(512 * 49, dtype=np.float32), (4096, 512 * 49))
    arrays = convert(source, name_map)
    variables = {v.path: v for v in model.variables if "seed" not in v.path}
    assert {p: tuple(a.shape) for p, a in arrays.items()} == {p: tuple(v.shape) for p, v in variables.items()}
    assert arrays["backbone.fc6.conv/kernel"][2, 3, 5, 0] == 5 * 49 + 2 * 7 + 3
    # torchvision's published 138,357,544 less the ImageNet classifier.
    assert sum(v.size for v in arrays.values()) == 138_357_544 - 1000 * 4097
    features = model.output
    assert [features[f"c{i}"].shape[-1] for i in range(1, 6)] == [stage.channels for stage in STAGES]
    assert features["fc7"].shape == (None, 4, 4, 4096)
