import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.networks import LABELS, NETWORKS, images, mobile
from support.tiny_export import seeded, tiny

from zoo import export
from zoo.errors import InputError, ParityError
from zoo.export.deploy import AGAINST_PADDING, REWRITES, chain, rewrite
from zoo.export.deploy.far_taps import TapwiseConv2D
from zoo.export.deploy.graph import Shared
from zoo.layers import BroadcastLike, DilatedConv2D, DilatedDepthwiseConv2D, FusedBatchNormalization
from zoo.layers.resize import SegmentationLogits
from zoo.models.architectures.deeplabv3_aspp import (
    deeplabv3_aspp_mobilenet_v2,
    deeplabv3_aspp_resnet,
)
from zoo.models.blocks import Norm
from zoo.models.heads.aspp import aspp, dead_taps

ATOL = 1e-4
BATCH_NORM = (keras.layers.BatchNormalization, FusedBatchNormalization)


def run(model, x):
    return model(x, training=False).numpy()


def kinds(model):
    return [type(layer) for layer in model.layers]


def hold(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=ATOL)


def rewritten(model, size, *names):
    """The model after some rewrites (all by default), held against the original; and the accounts by name."""
    new, done = rewrite(model, input_size=size, rewrites=names or None)
    x = images(size, model.input_shape[-1])
    want = run(model, x)
    assert np.abs(want).max() > 0.05  # a comparison of zeros would prove nothing
    hold(run(new, x), want)
    return new, {entry.name: entry for entry in done}


def one_layer(*layers, channels=6, size=(None, None)):
    """A model of layers one behind the other on an image of `channels`, with seeded weights."""
    x = image = keras.Input((*size, channels), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(x)
    for layer in layers:
        x = layer(x)
    return seeded(keras.Model(image, x, name="layers"))


# --- batch norm -------------------------------------------------------------------------------------------

CONVOLUTIONS = {
    "dense": lambda: DilatedConv2D(8, kernel_size=3, name="c"),
    "dense_bias": lambda: DilatedConv2D(8, kernel_size=(1, 3), use_bias=True, name="c"),
    "dilated": lambda: DilatedConv2D(8, kernel_size=3, rate=3, name="c"),
    "strided": lambda: DilatedConv2D(8, kernel_size=3, strides=2, padding="symmetric", name="c"),
    "valid": lambda: DilatedConv2D(8, kernel_size=3, rate=2, padding="valid", name="c"),
    "depthwise": lambda: DilatedDepthwiseConv2D(kernel_size=3, name="c"),
    "depthwise_dilated": lambda: DilatedDepthwiseConv2D(kernel_size=3, rate=2, use_bias=True, name="c"),
    "keras": lambda: keras.layers.Conv2D(8, 3, dilation_rate=2, padding="same", name="c"),
    "keras_groups": lambda: keras.layers.Conv2D(8, 3, groups=2, use_bias=False, name="c"),
    "keras_depthwise": lambda: keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="c"),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("norm", BATCH_NORM)
def test_fold_batch_norm(kind, norm):
    for size, options in (
        ((11, 14), {"epsilon": 1e-5}),
        ((12, 9), {"epsilon": 0.3, "scale": False}),
        ((8, 8), {"center": False}),
    ):
        model = one_layer(CONVOLUTIONS[kind](), norm(name="n", **options), keras.layers.ReLU(name="r"))
        before = [w.numpy().copy() for w in model.weights]
        new, done = rewritten(model, size, "fold_batch_norm")
        assert not set(BATCH_NORM) & set(kinds(new))
        assert new.count_params() == model.count_params() - done["fold_batch_norm"].saved["parameters"]
        assert [entry for entry in done.values() if entry.applied] == [done["fold_batch_norm"]]
        assert len(model.get_layer("c")._inbound_nodes) == 1  # the model was not called again
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))


def test_each_layer_has_its_own_epsilon():
    layers = [
        DilatedConv2D(5, kernel_size=1, name="a"),
        FusedBatchNormalization(epsilon=1e-5, name="a.bn"),
        DilatedConv2D(5, kernel_size=1, name="b"),
        FusedBatchNormalization(epsilon=0.9, name="b.bn"),
    ]
    model = one_layer(*layers)
    _, done = rewritten(model, (5, 7), "fold_batch_norm")
    assert done["fold_batch_norm"].places == 2


def test_normalization_that_cannot_be_folded_stays():
    """Behind a sum, an activation, a convolution that is read twice or has an activation, other axes."""
    image = keras.Input((9, 9, 4), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization(name="first")(x)
    twice = DilatedConv2D(4, kernel_size=3, name="twice")(x)
    x = keras.layers.Add()([twice, keras.layers.BatchNormalization(name="second")(twice)])
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="active")(x)
    x = keras.layers.BatchNormalization(name="third")(x)
    x = keras.layers.Conv2D(9, 1, name="columns")(x)
    x = keras.layers.BatchNormalization(axis=2, name="fourth")(x)
    model = seeded(keras.Model(image, x))
    new, done = rewritten(model, (9, 9))
    assert sum(kind in BATCH_NORM for kind in kinds(new or model)) == 4
    assert done["fold_batch_norm"].places == 0


def test_half_precision_is_left_alone():
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    conv = DilatedConv2D(4, kernel_size=3, name="c", dtype=policy)
    model = one_layer(conv, keras.layers.BatchNormalization(name="n", dtype=policy))
    new, done = rewrite(model, input_size=(8, 8))
    assert done[list(REWRITES).index("fold_batch_norm")].places == 0
    x = images((8, 8))[..., :1].repeat(6, -1)
    np.testing.assert_array_equal(run(new, x), run(model, x))


def test_layers_called_twice():
    """A shared convolution with two normalizations becomes two; one without stays shared."""
    image = keras.Input((None, None, 4), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    conv, plain = DilatedConv2D(4, kernel_size=3, name="c"), DilatedConv2D(4, kernel_size=1, name="p")
    first = keras.layers.BatchNormalization(epsilon=0.1, name="n1")(conv(x))
    second = keras.layers.BatchNormalization(name="n2")(conv(first))
    model = seeded(keras.Model(image, keras.layers.Add()([plain(first), plain(second)])))
    new, done = rewritten(model, (7, 10))
    assert done["fold_batch_norm"].places == 2
    assert len(new.get_layer("p")._inbound_nodes) == 2


# --- dead taps --------------------------------------------------------------------------------------------


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


# --- far taps ---------------------------------------------------------------------------------------------


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


# --- image pooling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool_first", [False, True])
@pytest.mark.parametrize("rates", [(), (2, 4)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_split_image_pooling(pool_first, rates, batch_norm):
    image = keras.Input((None, None, 6), name="image")
    norm = Norm(1e-3, enabled=batch_norm)
    x = keras.layers.Rescaling(1 / 255)(image)
    x = aspp(x, rates=rates, norm=norm, channels=5, pool_first=pool_first, dropout=0.5)
    model = seeded(keras.Model(image, x))
    for size in ((9, 8), (1, 1)):
        for names in (("split_image_pooling",), tuple(REWRITES)):
            new, done = rewritten(model, size, *names)
            assert BroadcastLike not in kinds(new)
            assert done["split_image_pooling"].places == 1
        saved = (size[0] * size[1] - 1) * 5 * 5
        assert done["split_image_pooling"].saved == ({"multiply_adds": saved} if saved else {})
        assert (keras.layers.Concatenate in kinds(new)) == (len(rates) > 0)


def test_several_cells_in_one_projection():
    image = keras.Input((None, None, 4), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    cells = [
        pool(keepdims=True)(x)
        for pool in (keras.layers.GlobalMaxPooling2D, keras.layers.GlobalAveragePooling2D)
    ]
    maps = [BroadcastLike(name=f"b{i}")([cell, x]) for i, cell in enumerate(cells)]
    x = keras.layers.Concatenate(name="concat")([maps[0], x, maps[1]])
    model = seeded(keras.Model(image, DilatedConv2D(3, kernel_size=1, use_bias=True, name="p")(x)))
    new, done = rewritten(model, (6, 5))
    assert BroadcastLike not in kinds(new)
    assert done["split_image_pooling"].saved == {"multiply_adds": 29 * 8 * 3}


def test_a_projection_that_is_not_pointwise_stays():
    """Zero padding is not a part of the repeated cell: a 3×3 kernel sees both."""
    for conv in (
        DilatedConv2D(3, kernel_size=3, name="p"),
        DilatedConv2D(3, kernel_size=1, strides=2, name="p"),
        keras.layers.Conv2D(4, 1, groups=2, name="p"),
        DilatedDepthwiseConv2D(kernel_size=1, name="p"),
    ):
        image = keras.Input((None, None, 4), name="image")
        x = keras.layers.Rescaling(1 / 255)(image)
        cell = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = keras.layers.Concatenate()([x, BroadcastLike(name="b")([cell, x])])
        new, done = rewritten(seeded(keras.Model(image, conv(x))), (6, 5))
        assert done["split_image_pooling"].places == 0
        assert BroadcastLike in kinds(new)


# --- training only, shapes, the rest ---------------------------------------------------------------------


def test_drop_training_only():
    layers = [
        keras.layers.Dropout(0.5),
        keras.layers.SpatialDropout2D(0.5),
        keras.layers.GaussianNoise(1.0),
        keras.layers.Identity(),
        keras.layers.Activation("linear"),
        DilatedConv2D(4, kernel_size=1, name="c"),
        keras.layers.Dropout(0.5),
    ]
    new, done = rewritten(one_layer(*layers), (5, 5), "drop_training_only")
    assert done["drop_training_only"].places == 6
    assert len(new.layers) == 3


def test_static_shapes():
    model = tiny()
    new, done = rewritten(model, (65, 49), "static_shapes")
    assert new.input_shape == (None, 65, 49, 3)
    assert all(None not in layer.output.shape[1:] for layer in new.layers)
    assert done["static_shapes"].places == len(model.layers)
    assert model.input_shape == (None, None, None, 3)


# --- whole networks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, narrow_resnets):
    """Nothing of a network changes but its work: fixed at an odd size, and for any size at an even one."""
    model = seeded(NETWORKS[name]())
    if model.get_layer("normalize").scale == (1.0,) * 3:
        # Where images stay at ±128, random weights give logits of hundreds, with float32's error of those.
        first = next(weight for weight in model.weights if weight.path.endswith("kernel"))
        first.assign(first / 64)
    new, done = rewritten(model, (65, 49))
    left = set(kinds(new))
    assert not left & {*BATCH_NORM, BroadcastLike, keras.layers.Dropout, Shared}
    assert isinstance(new.layers[-1], SegmentationLogits)
    assert done["fold_batch_norm"].places == sum(kind in BATCH_NORM for kind in kinds(model))
    dynamic, _ = rewrite(model)
    x = images((32, 64))
    hold(run(dynamic, x), run(model, x))


def test_deeplab_at_257_is_figure_4_of_the_paper():
    """On a map of 17×17 the branch at rate 18 is a 1×1 convolution, and those at 6 and 12 are whole."""
    model = seeded(mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=16))
    new, done = rewritten(model, (257, 257))
    sizes = {index: new.get_layer(f"aspp.conv{index}.conv").kernel_size for index in (1, 2, 3)}
    assert sizes == {1: (3, 3), 2: (3, 3), 3: (1, 1)}
    weights = 8 * 80 * 16
    saved = {"taps": 8, "parameters": weights, "multiply_adds": weights * 17 * 17}
    assert done["drop_dead_taps"].saved == saved


def test_fine_tuned_file(tmp_path):
    """What training leaves behind: a file with an optimizer and statistics that moved."""
    model = mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=True)
    model.fit(images((33, 49)), np.zeros((2, 33, 49), "int32"), verbose=0)
    model.save(tmp_path / "m.keras")
    _, done = rewritten(keras.models.load_model(tmp_path / "m.keras"), (33, 49))
    assert [name for name, entry in done.items() if not entry.applied] == list(AGAINST_PADDING)  # too narrow


# --- in exports -------------------------------------------------------------------------------------------

EXPORTS = {"saved_model": "m", "tflite": "m.tflite", "onnx": "m.onnx"}


def write(format, model, folder, **options):
    return getattr(export, f"to_{format}")(model, folder / EXPORTS[format], **options)


@pytest.mark.parametrize("format", EXPORTS)
def test_exports(format, tmp_path):
    model = seeded(mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=8, auxiliary=True))
    report = write(format, model, tmp_path, input_size=(65, 33))
    stored = json.loads((tmp_path / f"{EXPORTS[format]}.json").read_text())["rewrites"]
    assert [entry["name"] for entry in stored] == list(REWRITES)
    applied = [entry["name"] for entry in stored if entry["places"]]
    assert applied == [name for name in REWRITES if name not in AGAINST_PADDING]  # the head is too narrow
    assert stored[3]["notes"][-1] == "aspp.conv3.conv: 3x3 at rate 18 on 5x3 is 1x1"
    assert report.parity.max_error < ATOL


def test_export_without_rewrites(tmp_path):
    model = seeded(mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=8, auxiliary=True))
    report = write("tflite", model, tmp_path, input_size=(65, 33))
    plain = write("tflite", model, tmp_path, input_size=(65, 33), rewrites=())
    assert not any(entry.enabled or entry.applied for entry in plain.rewrites)
    assert plain.fingerprint == report.fingerprint
    assert plain.bytes > report.bytes
    assert plain.parity.passed


def test_parity_is_against_the_model_and_not_its_rewritten_form(tmp_path, monkeypatch):
    right = chain.build
    monkeypatch.setattr(chain, "build", lambda graph: seeded(right(graph), seed=1))
    with pytest.raises(ParityError):
        write("tflite", tiny(), tmp_path, input_size=(33, 47))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(1, 1), (16, 16)])
def test_maps_of_one_cell_in_onnx(size, tmp_path, narrow_resnets):
    """Keras adds a map of one cell as a bias, which the converter gives to a convolution that has one."""
    model = seeded(deeplabv3_aspp_resnet(label_set=LABELS, aspp_channels=8))
    assert write("onnx", model, tmp_path, input_size=size).parity.passed


def test_small_logits_are_rewritten_too(tmp_path):
    model = seeded(mobile(deeplabv3_aspp_mobilenet_v2, aspp_channels=8))
    report = write("onnx", model, tmp_path, input_size=(33, 65), head="small_logits")
    assert report.outputs[0].shape == (1, 3, 5, 3)
    assert [entry.name for entry in report.rewrites if not entry.applied] == list(AGAINST_PADDING)


# --- what is left alone, and what is refused --------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):
    """A layer whose weight no setting tells of."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.extra = keras.Variable(2.0)

    def call(self, x):
        return x * tf.convert_to_tensor(self.extra)


def test_unknown_layers_are_used_as_they_are():
    inner_image = keras.Input((None, None, 4))
    inner = keras.layers.BatchNormalization()(DilatedConv2D(4, kernel_size=3, name="inner.c")(inner_image))
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = DilatedConv2D(4, kernel_size=3, name="c")(x)
    x = keras.layers.BatchNormalization(name="n")(x)
    x = Doubled(name="doubled")(x)
    x = keras.layers.Lambda(lambda t: t + 1.0, name="lambda")(x)
    x = keras.ops.relu(x) + x
    model = keras.Model(image, keras.Model(inner_image, inner, name="inner")(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, w.shape) for w in model.weights])
    new, done = rewritten(model, (9, 12))
    assert done["fold_batch_norm"].places == 1
    assert sum(isinstance(layer, Shared) for layer in new.layers) == 5


def test_other_models_are_left_alone():
    class Own(keras.Model):
        def call(self, x):
            return 2 * super().call(x)

    image = keras.Input((None, None, 3))
    x = DilatedConv2D(4, kernel_size=3, name="c")(image)
    own = Own(image, keras.layers.BatchNormalization()(x))
    new, done = rewrite(own, input_size=(8, 8))
    assert new is own
    assert not any(entry.applied for entry in done)
    assert "not a functional graph" in done[0].notes[0]


def test_names_of_rewrites():
    model = tiny()
    with pytest.raises(InputError, match="unknown rewrite 'fold'; known: drop_training_only"):
        rewrite(model, rewrites=["fold"])
    with pytest.raises(InputError, match="list of names"):
        rewrite(model, rewrites="fold_batch_norm")
    new, done = rewrite(model, rewrites=())
    assert new is model
    assert [entry.enabled for entry in done] == [False] * len(REWRITES)
