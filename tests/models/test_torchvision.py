"""ResNet, MobileNetV3-Large and DeepLabv3 against torchvision's own forward pass, and their files."""

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_parity import (
    GOLDENS,
    SIZES,
    check_depths,
    check_segmentation,
    give_seeded,
    relative_error,
)

from zoo.errors import InputError
from zoo.labels import VOC21
from zoo.layers.preprocessing import Normalize
from zoo.models import registry
from zoo.models.backbones.mobilenet_v2 import mobilenet_v2
from zoo.models.backbones.mobilenet_v3 import mobilenet_v3_large
from zoo.models.backbones.resnet import resnet
from zoo.models.conventions import TORCHVISION, TORCHVISION_MOBILENET_V3, resolve
from zoo.models.heads.aspp import model_dead_taps
from zoo.weights import catalog, name_maps

RESNET_LAYERS = {
    "c2": "backbone.stage1.block2.relu",
    "c4": "backbone.stage3.block{}.relu",
    "c5": "backbone.stage4.block2.relu",
}
LAYERS = {
    "resnet50": {k: v.format(5) for k, v in RESNET_LAYERS.items()},
    "resnet101": {k: v.format(22) for k, v in RESNET_LAYERS.items()},
    "mobilenet_v3_large": {
        "c2": "backbone.block2.add",
        "c4": "backbone.block11.add",
        "c5": "backbone.last.hard_swish",
    },
}
WIDE = {"resnet50": ("105x305", 8), "resnet101": ("105x305", 8), "mobilenet_v3_large": ("209x601", 16)}
# num_params in the meta data of torchvision's weights enumerations.
PUBLISHED_PARAMETERS = {"resnet50": 42_004_074, "resnet101": 60_996_202, "mobilenet_v3_large": 11_029_328}
BACKBONES = {
    "resnet50": (TORCHVISION, lambda x, **o: resnet(x, depth="resnet50", **o)),
    "mobilenet_v3_large": (TORCHVISION_MOBILENET_V3, mobilenet_v3_large),
    "mobilenet_v2": (TORCHVISION, mobilenet_v2),
}


def deeplabv3(backbone, **options):
    """The model as the catalog's torchvision entry says."""
    name = f"deeplabv3_aspp_{backbone}"
    spec = registry.resolve(name)
    settings = {**spec.settings, **catalog.find(name, "coco").settings}
    return spec.build()(label_set=VOC21, **settings, **options)


def features(backbone, input_shape=(None, None, 3), seeded=True, **options):
    convention, build = BACKBONES[backbone]
    inputs = keras.Input(input_shape)
    x = Normalize(**vars(convention.normalization))(inputs)
    model = keras.Model(inputs, build(x, convention=convention, **options))
    return give_seeded(model, name_maps.resolve(f"torchvision_{backbone}")) if seeded else model


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize("backbone", LAYERS)
def test_deeplabv3_equals_torchvision(backbone):
    model = deeplabv3(backbone, auxiliary=True)
    assert trainable(model) == PUBLISHED_PARAMETERS[backbone]
    give_seeded(model, name_maps.resolve(f"torchvision_deeplabv3_{backbone}"))
    for size in SIZES:
        check_segmentation(model, f"torchvision_deeplabv3_{backbone}.npz", LAYERS[backbone], size)
    # Here every branch of ASPP sees more than its middle tap.
    wide, step = WIDE[backbone]
    assert model_dead_taps(model, tuple(map(int, wide.split("x")))).count("all but the centre") == 0
    check_segmentation(model, f"torchvision_deeplabv3_{backbone}.npz", LAYERS[backbone], wide, step)


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v3_large"])
def test_imagenet_backbone_equals_torchvision(backbone):
    model = features(backbone, output_stride=32)
    with np.load(GOLDENS / f"torchvision_{backbone}.npz") as goldens:
        for size in SIZES:
            height, width = map(int, size.split("x"))
            outputs = model(image(height, width)[None])
            check_depths(outputs, goldens, size, ("c2", "c4", "c5"), 1e-4)


def c5(model):
    """Deepest features of an odd, non-square image, with the gates of squeeze-and-excitation held fixed.

    A gate is a function of the mean over the whole map, and the mean of a denser map is another number.
    """
    for layer in model.layers:
        if layer.name.endswith("squeeze.expand.conv"):
            layer.kernel.assign(np.zeros_like(layer.kernel))
    return np.asarray(model(image(65, 97)[None])["c5"])


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_dense_features_subsampled_equal_the_nominal_ones(backbone, output_stride):
    """What dilation is for: the same responses at more places (Chen et al. 2017, figure 2)."""
    nominal = c5(features(backbone, output_stride=32))
    dense = c5(features(backbone, output_stride=output_stride))
    step = 32 // output_stride
    assert dense.shape[1] > nominal.shape[1]
    assert relative_error(dense[:, ::step, ::step], nominal) < 2e-4


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v3_large"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_strides_of_the_features(backbone, output_stride):
    model = features(backbone, (64, 96, 3), seeded=False, output_stride=output_stride)
    for name, nominal in {"c1": 2, "c2": 4, "c3": 8, "c4": 16, "c5": 32}.items():
        stride = min(nominal, output_stride)
        assert model.output[name].shape[1:3] == (64 // stride, 96 // stride)


def rates(model, names):
    return [model.get_layer(name).rate for name in names]


def test_rates_of_the_last_stages():
    """torchvision dilates ResNet late and MobileNetV3 at once; the paper's multi-grid counts all blocks."""
    last = [f"backbone.stage4.block{b}.middle.conv" for b in range(3)]
    assert rates(deeplabv3("resnet50"), last) == [2, 4, 4]
    build = registry.resolve("deeplabv3_aspp_resnet50").build()
    assert rates(build(label_set=VOC21), last) == [2, 4, 8]
    assert rates(build(label_set=VOC21, output_stride=8), last) == [4, 8, 16]
    assert rates(build(label_set=VOC21, multi_grid=None), last) == [1, 2, 2]
    mobile = [f"backbone.block{b}.depthwise.conv" for b in range(11, 15)]
    assert rates(deeplabv3("mobilenet_v3_large"), mobile) == [1, 2, 2, 2]
    build = registry.resolve("deeplabv3_aspp_mobilenet_v3_large").build()
    assert rates(build(label_set=VOC21), mobile) == [1, 1, 2, 2]


def test_aspp_rates_follow_the_output_stride():
    branches = [f"aspp.conv{i}.conv" for i in (1, 2, 3)]
    assert rates(deeplabv3("resnet50"), branches) == [12, 24, 36]
    assert rates(deeplabv3("mobilenet_v3_large"), branches) == [12, 24, 36]
    for name in ("resnet50", "resnet101", "mobilenet_v3_large", "mobilenet_v2"):
        build = registry.resolve(f"deeplabv3_aspp_{name}").build()
        assert rates(build(label_set=VOC21), branches) == [6, 12, 18]
        assert rates(build(label_set=VOC21, output_stride=8), branches) == [12, 24, 36]


def test_epsilons_of_mobilenet_v3():
    model = deeplabv3("mobilenet_v3_large", auxiliary=True)
    found = {layer.name: layer.epsilon for layer in model.layers if layer.name.endswith(".bn")}
    assert {e for n, e in found.items() if n.startswith("backbone.")} == {1e-3}
    assert {e for n, e in found.items() if not n.startswith("backbone.")} == {1e-5}


@pytest.mark.parametrize("width", [0, -1.0])
def test_impossible_widths(width):
    with pytest.raises(InputError, match="width must be above 0"):
        features("mobilenet_v3_large", seeded=False, width=width)


@pytest.mark.parametrize("multi_grid", [(1, 2), (1, 0, 2), (1, 2, 2.0)])
def test_impossible_multi_grids(multi_grid):
    with pytest.raises(InputError, match="multi_grid takes 3 positive integers"):
        inputs = keras.Input((32, 32, 3))
        resnet(inputs, depth="resnet50", convention=resolve("torchvision"), multi_grid=multi_grid)
