"""MobileNetV2 against torchvision's own forward pass, and its structure at every output stride."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from zoo.errors import InputError
from zoo.labels import numbered
from zoo.layers.preprocessing import Normalize
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.assignment import assign
from zoo.models.backbones.mobilenet_v2 import mobilenet_v2, scaled
from zoo.models.conventions import TF_DEEPLAB_FOLDED, TORCHVISION
from zoo.weights import name_maps
from zoo.weights.checkpoint import convert_file

GOLDENS = Path(__file__).parents[1] / "goldens"


def golden_module():
    """The script's constants and image formula, without importing torch."""
    source = (GOLDENS / "make_mobilenet_v2_imagenet.py").read_text()
    source = source.replace("import torch\nimport torchvision\n", "")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("golden", loader=None))
    exec(compile(source, "golden", "exec"), module.__dict__)
    return module


def backbone(convention=TORCHVISION, input_shape=(None, None, 3), **options):
    image = keras.Input(input_shape, name="image")
    x = Normalize(**vars(convention.normalization))(image)
    return keras.Model(image, mobilenet_v2(x, convention=convention, **options))


@pytest.fixture(scope="module")
def imagenet(data_dir):
    name_map = name_maps.resolve("torchvision_mobilenet_v2")
    return convert_file(data_dir / "weights" / "mobilenet_v2-b0353104.pth", name_map=name_map)[0]


@pytest.mark.parametrize("size", ["64x64", "65x97", "33x48"])
def test_features_equal_torchvision(imagenet, size):
    golden = golden_module()
    model = backbone(output_stride=32)
    assign({v.path: v for v in model.variables}, imagenet, subject="imagenet")
    height, width = map(int, size.split("x"))
    features = model(golden.image(height, width)[None])
    with np.load(GOLDENS / "mobilenet_v2_imagenet.npz") as goldens:
        for name in golden.DEPTHS:
            wanted = goldens[f"{size}/{name}"]
            got = features[name][0, :, :, : golden.CHANNELS].numpy()
            assert got.shape == wanted.shape
            assert np.abs(got - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max()), name


@pytest.mark.parametrize("output_stride", [8, 16])
def test_dense_features_subsampled_equal_the_nominal_ones(imagenet, output_stride):
    """What dilation is for: the same responses, computed at more places (Chen et al., figure 2)."""
    nominal, dense = backbone(output_stride=32), backbone(output_stride=output_stride)
    for model in (nominal, dense):
        assign({v.path: v for v in model.variables}, imagenet, subject="imagenet")
    image = golden_module().image(65, 97)[None]
    wanted = nominal(image)["c5"].numpy()
    step = 32 // output_stride
    got = dense(image)["c5"].numpy()[:, ::step, ::step]
    np.testing.assert_allclose(got, wanted, atol=2e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_strides_of_the_features(output_stride):
    features = backbone(input_shape=(64, 96, 3), output_stride=output_stride).output
    for name, nominal in {"c1": 2, "c2": 4, "c3": 8, "c4": 16, "c5": 32}.items():
        stride = min(nominal, output_stride)
        assert features[name].shape[1:3] == (64 // stride, 96 // stride)


@pytest.mark.parametrize(
    "multi_grid, wanted",
    [
        # By the running stride block 13 keeps the rate before it; TF-DeepLab and torchvision agree.
        (None, [1, 1, 2, 2, 2]),
        # Section 3.2.1: rate = stage's rate × factor, at output stride 16 (2, 4, 8); block 16 is apart.
        ((1, 2, 4), [1, 2, 4, 8, 2]),
    ],
)
def test_rates_of_the_last_blocks(multi_grid, wanted):
    model = backbone(output_stride=16, multi_grid=multi_grid)
    assert [model.get_layer(f"backbone.block{b}.depthwise.conv").rate for b in range(12, 17)] == wanted


def test_widths_of_the_published_half_model():
    """TF-DeepLab rounds no width to 8: the file has layers of 12 channels."""
    names = [f"backbone.block{b}.project.conv" for b in range(17)]
    model = backbone(TF_DEEPLAB_FOLDED, width=0.5)
    widths = [model.get_layer(name).filters for name in names]
    assert widths == [8, 12, 12] + [16] * 3 + [32] * 4 + [48] * 3 + [80] * 3 + [160]
    assert scaled(24, width=0.5, divisor=8) == 16


def test_parameters_are_the_published_count():
    """torchvision's 3,504,872 less the 1280-channel convolution, its batch norm and the classifier."""
    trainable = sum(int(np.prod(v.shape)) for v in backbone().trainable_variables)
    assert trainable == 3_504_872 - 1280 * (320 + 2) - (1280 + 1) * 1000


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"output_stride": 12}, {"multi_grid": (1, 2)}, {"multi_grid": (1, 0, 2)}]
)
def test_bad_arguments(options):
    with pytest.raises(InputError):
        backbone(**options)


@pytest.mark.parametrize("size", [(32, 48), (33, 49), (20, 39)])
def test_tf_deeplab_at_any_size_is_the_image_extended_with_the_mean(size):
    """To a multiple of the output stride plus 1, where cells and corners fall on pixels."""
    keras.utils.set_random_seed(0)
    model = deeplabv3_aspp(
        backbone="mobilenet_v2",
        label_set=numbered(3),
        convention="tf_deeplab",
        width=0.25,
        aspp_channels=8,
        rates=(),
    )
    image = np.random.default_rng(0).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    missing = [(0, 0), *((0, (1 - side) % 16) for side in size), (0, 0)]
    extended = np.pad(image, missing, constant_values=128)
    wanted = model(extended)[:, : size[0], : size[1]]
    np.testing.assert_allclose(model(image), wanted, atol=1e-6)
