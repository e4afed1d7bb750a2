"""Context aggregation against the authors' networks, and its structure against the paper."""

import importlib.util
import logging
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import labels
from zoo.dilation.model import analyse
from zoo.errors import InputError, MismatchError
from zoo.labels import CAMVID11, VOC21, numbered
from zoo.layers import BilinearUpsampling2D, JoinTiles, ReflectionPadding2D
from zoo.layers.resize import label_set_of, resize_bilinear
from zoo.models import registry
from zoo.models.architectures.context_aggregation import (
    VARIANTS,
    context_aggregation_mobilenet_v2,
    context_aggregation_vgg16,
)
from zoo.models.assignment import assign
from zoo.models.backbones.vgg16 import MARGIN, STAGES, vgg16
from zoo.models.heads.context import IdentityContext, context_module
from zoo.models.surgery import with_classes
from zoo.weights import catalog, name_maps
from zoo.weights.name_maps.conversion import convert

GOLDENS = Path(__file__).parents[1] / "goldens"
SIZES = ["64x64", "65x33", "49x97"]
DEPTHS = {
    "conv2_2": "backbone.stage2.conv2.conv",
    "conv4_3": "backbone.stage4.conv3.conv",
    "conv5_3": "backbone.stage5.conv3.conv",
}
CHANNELS, STEP = 2, 7
TAGS = ["voc2012", "camvid", "kitti", "cityscapes"]
# Weights in the authors' files, in bytes.
PUBLISHED_BYTES = {
    "voc2012": 564_598_880,
    "camvid": 537_253_772,
    "kitti": 537_249_372,
    "cityscapes": 537_492_172,
}
UPSAMPLING_BYTES = 4 * 19 * 16 * 16  # fixed bilinear kernels, which are no variable here


def module(name):
    spec = importlib.util.spec_from_file_location(name, GOLDENS / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


seeding = module("seeding")


def small(tag="voc2012", *, classes=None, **options):
    """A published network with its front end at 1/32 of the width."""
    entry = catalog.find("context_aggregation_vgg16", tag)
    label_set = labels.resolve(entry.labels) if classes is None else numbered(classes)
    return context_aggregation_vgg16(**{**entry.settings, "label_set": label_set, "width": 1 / 32, **options})


# --- the authors' networks -----------------------------------------------------------------------------


def source_shapes(name_map, model):
    """Shapes of the source's blobs: the authors' order is (out, in, rows, columns)."""
    shapes = {}
    for layer, prefix in name_map.layers.items():
        kernel = model.get_layer(layer).kernel.shape
        shapes[f"{prefix}/0"] = tuple(kernel[i] for i in (3, 2, 0, 1))
        shapes[f"{prefix}/1"] = (kernel[3],)
    return shapes


def tents(channels=19, size=16):
    line = 1 - np.abs((np.arange(size) + 0.5) / (size / 2) - 1)
    return np.broadcast_to(np.outer(line, line), (channels, 1, size, size)).astype(np.float32)


@pytest.fixture(scope="module")
def drawn():
    """Blobs by name; the front end's, 134 million values, are the same in all four networks."""
    return {}


def published(tag, drawn, **options):
    """The network of that tag with parameters drawn from their names in the authors' file."""
    entry = catalog.find("context_aggregation_vgg16", tag)
    name_map = name_maps.resolve(entry.name_map)
    settings = {**entry.settings, **options}
    model = context_aggregation_vgg16(label_set=labels.resolve(entry.labels), **settings)
    shapes = source_shapes(name_map, model)
    for name, shape in shapes.items():
        if name not in drawn or drawn[name].shape != shape:
            drawn[name] = seeding.draw(name, shape)
    source = {name: drawn[name] for name in shapes} | {n: tents() for n in name_map.fixed}
    assign(
        {v.path: v for v in model.variables if "seed" not in v.path}, convert(source, name_map), subject=tag
    )
    return model


def outputs_of(model, image):
    """Values at each depth; OpenCV gives those of the convolutions ahead of their ReLU."""
    names = [*DEPTHS.values(), "classifier", "logits"]
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    values = tf.function(probe)(image[None])
    return dict(zip([*DEPTHS, "scores", "logits"], (v[0].numpy() for v in values), strict=True))


def assert_equal_to_golden(model, golden, key, size):
    height, width = size
    got = outputs_of(model, seeding.image(height, width))
    for depth in DEPTHS:
        wanted = golden[f"{key}/{depth}"]
        ours = got[depth][::STEP, ::STEP, :CHANNELS]
        ours = ours[: wanted.shape[0], : wanted.shape[1]]
        assert np.abs(ours - wanted).max() <= 1e-4 * np.abs(wanted).max(), depth
    wanted = golden[f"{key}/scores"]
    scores = got["scores"][: wanted.shape[0], : wanted.shape[1]]
    assert np.abs(scores - wanted).max() <= 1e-3 * np.abs(wanted).max()
    probabilities = tf.nn.softmax(got["logits"]).numpy()
    assert np.abs(probabilities[::STEP, ::STEP] - golden[f"{key}/prob"]).max() <= 1e-3
    assert (got["logits"].argmax(-1) == golden[f"{key}/labels"]).mean() >= 0.999


@pytest.mark.parametrize("tag", TAGS)
def test_equals_the_authors_network(tag, drawn):
    model = published(tag, drawn)
    fixed = UPSAMPLING_BYTES if tag == "cityscapes" else 0
    assert 4 * model.count_params() + fixed == PUBLISHED_BYTES[tag]
    with np.load(GOLDENS / f"context_aggregation_{tag.removesuffix('2012')}.npz") as golden:
        labels_seen = set()
        for size in SIZES:
            assert_equal_to_golden(model, golden, size, tuple(map(int, size.split("x"))))
            labels_seen |= set(golden[f"{size}/labels"].ravel())
    assert len(labels_seen) > 1, "one label everywhere would hide a shift"


@pytest.mark.slow
def test_equals_the_authors_procedure_at_its_published_input(drawn):
    """A 96 × 120 image in a network of 900 × 1100: the tile is filled with reflections of reflections."""
    model = published("camvid", drawn, tiled=True)
    with np.load(GOLDENS / "context_aggregation_tiled.npz") as golden:
        assert_equal_to_golden(model, golden, "tiled", (96, 120))


# --- the front end -------------------------------------------------------------------------------------


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


# --- the context module --------------------------------------------------------------------------------


def context(classes=4, **options):
    scores = keras.Input((None, None, classes))
    return keras.Model(scores, context_module(scores, classes=classes, **options))


@pytest.mark.parametrize("pad_once", [False, True])
@pytest.mark.parametrize("size", ["basic", "large"])
def test_receptive_fields_are_those_of_table_1(size, pad_once):
    model = context(module=size, pad_once=pad_once)
    names = [*(f"classifier.context.layer{i}.conv" for i in range(1, 8)), "classifier"]
    fields = [analyse(model, layer=name).receptive_field for name in names]
    assert fields == [(n, n) for n in (3, 5, 9, 17, 33, 65, 67, 67)]


def test_whole_network_sees_908_pixels():
    model = small()
    assert analyse(model, layer="classifier").receptive_field == (380 + 8 * 66,) * 2


@pytest.mark.parametrize("size, widths", [("basic", (1,) * 8), ("large", (2, 2, 4, 8, 16, 32, 32, 1))])
def test_widths_are_those_of_table_1(size, widths):
    model = context(classes=3, module=size)
    assert tuple(layer.filters // 3 for layer in model.layers if hasattr(layer, "filters")) == widths


@pytest.mark.parametrize("pad_once", [False, True])
@pytest.mark.parametrize("size", ["basic", "large"])
def test_module_passes_its_input_through_at_first(size, pad_once):
    """Scores above zero: those below are cut by the ReLU of every layer."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, (1, 20, 31, 4)).astype("float32")
    y = context(module=size, pad_once=pad_once, noise=0.0)(x)
    np.testing.assert_allclose(y, x, atol=1e-6)


def test_noise_breaks_ties_and_leaves_the_scores_recognizable():
    x = np.random.default_rng(0).uniform(0.5, 1.5, (1, 20, 31, 4)).astype("float32")
    error = np.abs(context(module="large")(x) - x).mean()
    assert 0 < error < 0.1 * x.mean()


def test_identity_kernels_by_the_equation():
    """Two classes, 2 → 4 channels: each output starts with half of its class."""
    kernel = np.asarray(IdentityContext(2)((3, 3, 2, 4)))
    wanted = np.zeros((3, 3, 2, 4))
    wanted[1, 1] = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_array_equal(kernel, wanted)
    noisy = np.asarray(IdentityContext(2, noise=0.01, seed=1)((3, 3, 2, 4)))
    np.testing.assert_array_equal(noisy[wanted > 0], 0.5)
    assert 0 < np.abs(noisy[wanted == 0]).max() < 0.05
    assert (noisy[wanted == 0] != 0).all()


def test_initializer_is_serializable():
    initializer = IdentityContext(7, noise=0.02, seed=3)
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert again.get_config() == {"classes": 7, "noise": 0.02, "seed": 3}
    np.testing.assert_array_equal(again((3, 3, 7, 14)), initializer((3, 3, 7, 14)))


@pytest.mark.parametrize("shape", [(3, 3, 4, 3), (2, 2, 3, 3), (3, 3, 5, 6)])
def test_initializer_refuses_other_shapes(shape):
    with pytest.raises(InputError, match="divide by 3"):
        IdentityContext(3)(shape)


# --- margin, tiles, upsampling -------------------------------------------------------------------------


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("size", [(1, 2), (5, 3), (40, 187), (186, 200)])
def test_margin_is_numpys_reflection_at_any_size(size, static):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    image = keras.Input((*(size if static else (None, None)), 3))
    model = keras.Model(image, ReflectionPadding2D(margin=186)(image))
    wanted = np.pad(x, [(0, 0), (186, 186), (186, 186), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(model(x), wanted)
    if static:
        assert model.output_shape[1:3] == wanted.shape[1:3]


def authors_tiles(image, tile, margin):
    """The loop of the authors' ``predict.py``, with NumPy's reflection for OpenCV's."""
    border = np.pad(image, [(margin, margin), (margin, margin), (0, 0)], mode="reflect")
    full = [n + 2 * margin for n in tile]
    for top in range(0, image.shape[0], tile[0]):
        for left in range(0, image.shape[1], tile[1]):
            part = border[top : top + full[0], left : left + full[1]]
            below, right = (f - p for f, p in zip(full, part.shape[:2], strict=True))
            yield np.pad(part, [(0, below), (0, right), (0, 0)], mode="reflect")


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (24, 16), (33, 50), (25, 17)])
def test_tiles_are_the_authors(size, static):
    tile, margin = (24, 16), 6
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    image = keras.Input((*(size if static else (None, None)), 3))
    cut = ReflectionPadding2D(margin=margin, tile=tile)(image)
    model = keras.Model(image, [cut, JoinTiles(tile=tile)([cut, image])])
    tiles, joined = model(x)
    wanted = [t for picture in x for t in authors_tiles(picture, tile, margin)]
    np.testing.assert_array_equal(tiles, wanted)
    across = -(-size[1] // tile[1])
    rows = [np.concatenate(wanted[i : i + across], axis=1) for i in range(0, len(wanted) // 2, across)]
    np.testing.assert_array_equal(joined[0], np.concatenate(rows))


def test_an_image_that_fills_its_tile_is_the_whole_image():
    whole, tiled = small("camvid"), small("camvid", tiled=True)
    tiled.set_weights(whole.get_weights())
    rows, columns = VARIANTS["camvid"].tile
    x = seeding.image(rows, columns)[None]
    np.testing.assert_allclose(tiled(x), whole(x), atol=1e-5)


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_is_the_bilinear_deconvolution(factor):
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")
    kernel = tents(4, 2 * factor).transpose(2, 3, 0, 1) * np.eye(4, dtype="float32")
    shape = (2, 5 * factor, 3 * factor, 4)
    wanted = tf.nn.conv2d_transpose(x, kernel, shape, factor, "SAME")
    layer = BilinearUpsampling2D(factor=factor)
    np.testing.assert_allclose(layer(x), wanted, atol=1e-5)
    assert layer.compute_output_shape((None, None, 3, 4)) == (None, None, 3 * factor, 4)


# --- the models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_variants_are_the_published_ones(tag):
    model = small(tag)
    layers = [layer for layer in model.layers if layer.name.startswith("classifier.context.layer")]
    rates = [layer.rate for layer in layers if hasattr(layer, "rate")]
    assert (
        rates
        == {
            "voc2012": [1, 1, 2, 4, 8, 16, 1],
            "camvid": [1, 1, 2, 4, 8, 16, 1],
            "kitti": [1, 1, 2, 4, 8, 1],
            "cityscapes": [1, 1, 2, 4, 8, 16, 32, 64, 1],
        }[tag]
    )
    x = seeding.image(41, 23)[None]
    assert model(x).shape == (1, 41, 23, len(label_set_of(model)))


@pytest.mark.parametrize("tag", TAGS)
def test_static_size_gives_the_same(tag):
    dynamic, static = small(tag), small(tag, input_shape=(41, 23, 3))
    static.set_weights(dynamic.get_weights())
    x = seeding.image(41, 23)[None]
    np.testing.assert_allclose(static(x), dynamic(x), atol=1e-5)
    assert static.output_shape[1:3] == (41, 23)


def test_means_and_order_of_the_channels_are_the_authors():
    """Blue first: a blue value one above the mean is the first channel's 1."""
    normalize = small("camvid").get_layer("normalize")
    x = np.float32([105.41212523, 108.77808759, 111.70313206])[None, None, None]
    np.testing.assert_allclose(normalize(x)[0, 0, 0], [1, 0, 0], atol=1e-4)


def test_class_orders_are_those_of_the_files():
    """fyu/dilation reads label files of its own order; by SegNet's indices it is 1, 5, 0, 8, 6, …"""
    theirs, kitti = labels.resolve("camvid11_fyu"), labels.resolve("kitti11")
    order = (1, 5, 0, 8, 6, 3, 9, 7, 2, 4, 10)
    assert theirs.names == tuple(CAMVID11.names[i] for i in order)
    assert theirs.palette == kitti.palette == tuple(CAMVID11.palette[i] for i in order)
    assert label_set_of(small("camvid")) == theirs
    assert kitti.names[:4] == ("building", "tree", "sky", "car")


def test_mobile_model_starts_from_the_scores_of_its_front_end():
    model = context_aggregation_mobilenet_v2(label_set=VOC21)
    probe = keras.Model(model.input, [model.get_layer(n).output for n in ("classifier.front", "classifier")])
    front, out = probe(seeding.image(64, 48)[None])
    assert front.shape == (1, 8, 6, 21)
    assert np.median(front, axis=(0, 1, 2)).min() > 0, "a class that is mostly below zero would not train"
    np.testing.assert_allclose(out, np.maximum(front, 0), atol=1e-5)
    assert registry.resolve("context_aggregation").name == model.name


def test_fresh_classes_keep_the_features(caplog):
    model = small("voc2012")
    with caplog.at_level(logging.WARNING, logger="zoo"):
        fresh = with_classes(model, numbered(5))
    assert "fresh: classifier" in caplog.text
    assert fresh.output_shape[-1] == 5
    assert fresh.get_layer("classifier.context.layer6.conv").filters == 32 * 5
    assert fresh.get_layer("classifier.context.layer6.conv").kernel_initializer.classes == 5
    assert fresh.get_layer("backbone.fc7.conv") is model.get_layer("backbone.fc7.conv")


def test_the_front_end_alone_is_what_the_module_starts_from():
    """The fresh module passes the scores on, and these are the front end's logits."""
    build = context_aggregation_mobilenet_v2
    options = {"label_set": numbered(4), "width": 0.1}
    whole, front = build(**options), build(**options, module=None)
    assert not [layer.name for layer in front.layers if "context" in layer.name]
    weights = {v.path: v for v in whole.variables}
    for variable in front.variables:
        variable.assign(weights[variable.path])
    image = np.random.default_rng(0).uniform(0, 255, (1, 40, 48, 3)).astype("float32")
    scores = keras.Model(whole.input, whole.get_layer("classifier.front").output)(image)
    logits = resize_bilinear(scores, (40, 48), convention="half_pixel")
    np.testing.assert_allclose(front(image), logits, rtol=1e-5, atol=1e-6)
    passed = keras.Model(whole.input, whole.get_layer("classifier").output)(image)
    np.testing.assert_allclose(passed, scores, rtol=1e-5, atol=1e-6)
    assert len(label_set_of(with_classes(front, numbered(3)))) == 3


def test_upsampling_weights_that_were_changed_are_refused():
    name_map = name_maps.resolve("caffe_dilation_cityscapes")
    source = {n: np.zeros(1, np.float32) for p in name_map.layers.values() for n in (f"{p}/0", f"{p}/1")}
    with pytest.raises(MismatchError, match=r"other values than the model computes \(1\): ctx_upsample/0"):
        convert({**source, "ctx_upsample/0": 2 * tents()}, name_map)
    with pytest.raises(MismatchError, match=r"missing in the file \(1\): ctx_upsample/0"):
        convert(source, name_map)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variant": "ade20k"}, "variant must be one of pascal_voc, camvid"),
        ({"convention": "caffe"}, "unknown convention 'caffe'"),
        ({"output_stride": 6}, "output_stride must be"),
        ({"width": 0}, "width must be above 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError, match=message):
        small(**options)
    with pytest.raises(InputError, match="module must be one of basic, large"):
        context(module="huge")
    with pytest.raises(InputError, match="the large module has 7 rates"):
        context(module="large", rates=(1, 2))


def test_unpublished_digests_need_an_opt_in(tmp_path, monkeypatch):
    """One line says what to do; nothing is downloaded."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(zoo.errors.ZooError, match="allow_unverified") as caught:
        zoo.load("context_aggregation_vgg16", weights="camvid")
    assert "\n" not in str(caught.value)
