"""Context aggregation against the authors' networks, and its structure against the paper."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens import seeding
from support.context_networks import context, small, tents

import zoo
from zoo import labels
from zoo.errors import InputError, MismatchError
from zoo.labels import CAMVID11, VOC21, numbered
from zoo.layers.resize import label_set_of, resize_bilinear
from zoo.models import registry
from zoo.models.architectures.context_aggregation import context_aggregation
from zoo.models.assignment import assign
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


# --- the authors' networks -----------------------------------------------------------------------------


def source_shapes(name_map, model):
    """Shapes of the source's blobs: the authors' order is (out, in, rows, columns)."""
    shapes = {}
    for layer, prefix in name_map.layers.items():
        kernel = model.get_layer(layer).kernel.shape
        shapes[f"{prefix}/0"] = tuple(kernel[i] for i in (3, 2, 0, 1))
        shapes[f"{prefix}/1"] = (kernel[3],)
    return shapes


@pytest.fixture(scope="module")
def drawn():
    """Blobs by name; the front end's, 134 million values, are the same in all four networks."""
    return {}


def published(tag, drawn, **options):
    """The network of that tag with parameters drawn from their names in the authors' file."""
    entry = catalog.find("context_aggregation_vgg16", tag)
    name_map = name_maps.resolve(entry.name_map)
    settings = {**entry.settings, **options}
    model = context_aggregation(backbone="vgg16", label_set=labels.resolve(entry.labels), **settings)
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
    model = context_aggregation(backbone="mobilenet_v2", label_set=VOC21)
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
    keras.utils.set_random_seed(0)
    build = context_aggregation
    options = {"backbone": "mobilenet_v2", "label_set": numbered(4), "width": 0.1}
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
    # They start around 10, so that few of them are below 0, where the module's ReLU cuts.
    np.testing.assert_allclose(passed, np.maximum(scores, 0), rtol=1e-5, atol=1e-6)
    assert np.mean(np.asarray(scores) > 0) > 0.9
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
