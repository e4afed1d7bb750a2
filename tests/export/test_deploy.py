"""Rewrites of a network for deployment: the remaining ones, whole networks, exports, what is left alone."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.networks import NETWORKS, images, mobile, residual
from support.rewrites import ATOL, BATCH_NORM, EXPORTS, hold, kinds, one_layer, rewritten, run, write
from support.tiny_export import seeded, tiny

from zoo.errors import InputError, ParityError
from zoo.export.deploy import AGAINST_PADDING, REWRITES, chain, rewrite
from zoo.export.deploy.graph import Shared
from zoo.layers import BroadcastLike, DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.resize import SegmentationLogits
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.blocks import Norm
from zoo.models.heads.aspp import aspp

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
    model = seeded(mobile(deeplabv3_aspp, aspp_channels=16))
    new, done = rewritten(model, (257, 257))
    sizes = {index: new.get_layer(f"aspp.conv{index}.conv").kernel_size for index in (1, 2, 3)}
    assert sizes == {1: (3, 3), 2: (3, 3), 3: (1, 1)}
    weights = 8 * 80 * 16
    saved = {"taps": 8, "parameters": weights, "multiply_adds": weights * 17 * 17}
    assert done["drop_dead_taps"].saved == saved


def test_fine_tuned_file(tmp_path):
    """What training leaves behind: a file with an optimizer and statistics that moved."""
    model = mobile(deeplabv3_aspp, aspp_channels=8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=True)
    model.fit(images((33, 49)), np.zeros((2, 33, 49), "int32"), verbose=0)
    model.save(tmp_path / "m.keras")
    _, done = rewritten(keras.models.load_model(tmp_path / "m.keras"), (33, 49))
    assert [name for name, entry in done.items() if not entry.applied] == list(AGAINST_PADDING)  # too narrow


@pytest.mark.parametrize("format", EXPORTS)
def test_exports(format, tmp_path):
    model = seeded(mobile(deeplabv3_aspp, aspp_channels=8, auxiliary=True))
    report = write(format, model, tmp_path, input_size=(65, 33))
    stored = json.loads((tmp_path / f"{EXPORTS[format]}.json").read_text())["rewrites"]
    assert [entry["name"] for entry in stored] == list(REWRITES)
    applied = [entry["name"] for entry in stored if entry["places"]]
    assert applied == [name for name in REWRITES if name not in AGAINST_PADDING]  # the head is too narrow
    assert stored[3]["notes"][-1] == "aspp.conv3.conv: 3x3 at rate 18 on 5x3 is 1x1"
    assert report.parity.max_error < ATOL


def test_export_without_rewrites(tmp_path):
    model = seeded(mobile(deeplabv3_aspp, aspp_channels=8, auxiliary=True))
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
    model = seeded(residual(deeplabv3_aspp, aspp_channels=8))
    assert write("onnx", model, tmp_path, input_size=size).parity.passed


def test_small_logits_are_rewritten_too(tmp_path):
    model = seeded(mobile(deeplabv3_aspp, aspp_channels=8))
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
