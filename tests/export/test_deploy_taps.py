"""Taps that see only padding are dropped, and taps that see little of the map are cropped."""

import keras
import numpy as np
import pytest
from support.networks import LABELS
from support.rewrites import ATOL, kinds, one_layer, rewritten, write
from support.tiny_export import seeded

from zoo.export.deploy import AGAINST_PADDING, REWRITES, rewrite
from zoo.export.deploy.far_taps import TapwiseConv2D
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.resize import SegmentationLogits
from zoo.models.heads.aspp import dead_taps


def kernel_sizes(model):
    return [layer.kernel_size for layer in model.layers if hasattr(layer, "kernel_size")]


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize(
    ("size", "rate", "left"),
    [
        ((17, 17), 18, (1, 1)),
        ((17, 17), 17, (1, 1)),
        ((17, 17), 16, (3, 3)),
        ((8, 9), 8, (1, 3)),
        ((12, 7), 7, (3, 1)),
        ((5, 40), 6, (1, 3)),
        ((1, 2), 1, (1, 3)),
    ],
)
def test_drop_dead_taps(size, rate, left, padding, depthwise):
    options = {"kernel_size": 3, "rate": rate, "padding": padding, "use_bias": True, "name": "c"}
    model = one_layer(DilatedDepthwiseConv2D(**options) if depthwise else DilatedConv2D(5, **options))
    new, done = rewritten(model, size, "static_shapes", "drop_dead_taps")
    assert kernel_sizes(new) == [left]
    assert np.prod(left) == 9 - len(dead_taps(rate, size))
    taps = 9 - int(np.prod(left))
    weights = taps * 6 * (1 if depthwise else 5)
    saved = {"taps": taps, "parameters": weights, "multiply_adds": weights * size[0] * size[1]}
    assert done["drop_dead_taps"].saved == (saved if taps else {})
    assert new.count_params() == model.count_params() - weights
    note = f"c: 3x3 at rate {rate} on {size[0]}x{size[1]} is {left[0]}x{left[1]}"
    assert done["drop_dead_taps"].notes == ((note,) if taps else ())


def test_larger_kernels_lose_their_outer_taps():
    layers = [DilatedConv2D(4, kernel_size=(7, 5), rate=4, name="c")]
    new, _ = rewritten(one_layer(*layers), (9, 6))
    assert kernel_sizes(new) == [(5, 3)]


@pytest.mark.parametrize(
    "layer",
    [
        lambda **k: DilatedConv2D(5, strides=2, **k),
        lambda **k: DilatedDepthwiseConv2D(strides=2, **k),
    ],
)
@pytest.mark.parametrize("padding", ["same", "symmetric", "valid"])
@pytest.mark.parametrize("kernel_size", [2, 3, (5, 4), 7])
def test_strides_keep_their_padding(layer, padding, kernel_size):
    """TF SAME pads one side more than the other; what remains must read the same cells."""
    for size in ((7, 8), (8, 7), (20, 33)):
        model = one_layer(layer(kernel_size=kernel_size, padding=padding, use_bias=True, name="c"))
        rewritten(model, size, "static_shapes", "drop_dead_taps")


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_strides_on_maps_of_a_few_cells(padding):
    cut = 0
    for size in ((1, 1), (2, 2), (1, 2), (2, 3), (3, 2), (4, 1), (2, 40)):
        for kernel_size in (3, 5, 7):
            conv = DilatedConv2D(5, kernel_size=kernel_size, strides=2, padding=padding, name="c")
            _, done = rewritten(one_layer(conv), size, "static_shapes", "drop_dead_taps")
            cut += done["drop_dead_taps"].saved.get("taps", 0)
    assert cut > 100


def test_plain_keras_convolutions_lose_dead_taps():
    for size, left in (((5, 12), (1, 3)), ((12, 5), (3, 1)), ((5, 5), (1, 1))):
        layers = [
            keras.layers.Conv2D(4, 3, dilation_rate=6, padding="same", name="a"),
            keras.layers.DepthwiseConv2D(3, dilation_rate=6, padding="same", name="b"),
        ]
        new, _ = rewritten(one_layer(*layers), size)
        assert kernel_sizes(new) == [left, left]


def test_an_even_kernel_that_sees_nothing_stays():
    conv = keras.layers.Conv2D(4, 2, dilation_rate=9, padding="same", bias_initializer="ones", name="c")
    new, _ = rewritten(one_layer(conv), (4, 4))
    assert kernel_sizes(new) == [(2, 2)]


def test_dead_taps_need_a_static_size():
    model = one_layer(DilatedConv2D(4, kernel_size=3, rate=9, name="c"))
    for size, names in (((5, 5), ("drop_dead_taps",)), (None, tuple(REWRITES))):
        new, done = rewrite(model, input_size=size, rewrites=names)
        assert new is model
        assert not any(entry.applied for entry in done)
    fixed = one_layer(DilatedConv2D(4, kernel_size=3, rate=9, name="c"), size=(5, 5))
    new, _ = rewrite(fixed, rewrites=["drop_dead_taps"])
    assert kernel_sizes(new) == [(1, 1)]


@pytest.mark.parametrize(
    ("size", "kernel_size", "rate", "bias", "share"),
    [
        ((33, 33), 3, 18, True, (63 / 99) ** 2),
        ((17, 30), 3, 16, False, 19 / 51 * 58 / 90),
        ((30, 26), 5, 6, True, 114 / 150 * 94 / 130),
        ((40, 9), (3, 1), 30, True, 60 / 120),
    ],
)
def test_crop_far_taps(size, kernel_size, rate, bias, share):
    options = {"kernel_size": kernel_size, "rate": rate, "use_bias": bias}
    model = one_layer(DilatedConv2D(64, name="c", **options), keras.layers.ReLU(name="r"))
    new, done = rewritten(model, size, "static_shapes", "crop_far_taps")
    assert TapwiseConv2D in kinds(new)
    assert new.count_params() == model.count_params()
    whole = np.prod(size) * np.prod(model.get_layer("c").kernel.shape)
    saved = done["crop_far_taps"].saved["multiply_adds"]
    assert saved == pytest.approx((1 - share) * whole)
    assert done["crop_far_taps"].notes[0].startswith(f"c: {share:.0%} of the multiply-adds")


def test_taps_that_see_most_of_the_map_stay():
    """Near taps, few filters, no padding, depthwise, a size that is not known."""
    for layer in (
        DilatedConv2D(64, kernel_size=3, rate=6, name="c"),
        DilatedConv2D(32, kernel_size=3, rate=18, name="c"),
        DilatedConv2D(64, kernel_size=3, rate=15, padding="valid", name="c"),
        DilatedDepthwiseConv2D(kernel_size=3, rate=18, name="c"),
    ):
        new, done = rewritten(one_layer(layer), (33, 33), "static_shapes", "crop_far_taps")
        assert not done["crop_far_taps"].applied
        assert TapwiseConv2D not in kinds(new)
    model = one_layer(DilatedConv2D(64, kernel_size=3, rate=18, name="c"))
    assert rewrite(model, rewrites=["crop_far_taps"])[0] is model


def test_far_taps_are_cropped_in_float_tflite_files_only(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(64, kernel_size=3, rate=18, use_bias=True, name="c")(image)
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(keras.layers.ReLU(name="r")(x))
    x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    model = seeded(keras.Model(image, x, name="far"))
    cropped = write("tflite", model, tmp_path, input_size=(24, 30))
    assert cropped.operations["CONV_2D"] == 9 + 1
    assert cropped.parity.max_error < ATOL * max(1, cropped.parity.max_logit)
    half = write("tflite", model, tmp_path, input_size=(24, 30), quantize="float16")
    assert half.operations["CONV_2D"] == 2
    onnx = write("onnx", model, tmp_path, input_size=(24, 30))
    assert onnx.operations["Conv"] == 2
    assert not any(entry.enabled for entry in onnx.rewrites if entry.name in AGAINST_PADDING)
