"""LR-ASPP against torchvision's own forward pass, its file, and its two classifiers."""

import logging

import numpy as np
import pytest
from goldens.seeding import image
from support.torch_files import save_state
from support.torch_parity import SIZES, check_segmentation, give_seeded, seeded_source

import zoo
from zoo.errors import DownloadError, InputError, MismatchError
from zoo.labels import VOC21, named, numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.models.surgery import with_classes
from zoo.weights import catalog, name_maps

MODEL = "lraspp_mobilenet_v3_large"
LAYERS = {
    "c2": "backbone.block2.add",
    "c3_first": "backbone.block3.project.bn",
    "c5": "backbone.last.hard_swish",
    "reduced": "lite.reduce.relu",
    "gate": "lite.gate.sigmoid",
}
# num_params in the meta data of torchvision's weights.
PUBLISHED_PARAMETERS = 3_221_538
ENTRY = catalog.find(MODEL, "coco")
NAME_MAP = name_maps.resolve(ENTRY.name_map)


def built(label_set=VOC21, **settings):
    return registry.resolve(MODEL).build()(label_set=label_set, **ENTRY.settings, **settings)


def test_equals_torchvision():
    model = built()
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == PUBLISHED_PARAMETERS
    give_seeded(model, NAME_MAP)
    for size in SIZES:
        check_segmentation(model, "torchvision_lraspp_mobilenet_v3_large.npz", LAYERS, size)


def test_the_entry_is_known_by_the_start_of_its_digest(monkeypatch, tmp_path):
    assert (ENTRY.sha256, ENTRY.sha256_start, ENTRY.score) == (None, "d234d4ea", 57.9)
    assert zoo.info(MODEL).default_weights == "coco"
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    save_state(tmp_path / ENTRY.file, seeded_source(built(), NAME_MAP))
    with pytest.raises(DownloadError, match="pass allow_unverified=True"):
        zoo.load(MODEL)
    with pytest.raises(DownloadError, match=r"SHA-256 is [0-9a-f]{64}, expected d234d4ea…"):
        zoo.load(MODEL, allow_unverified=True)


def test_a_users_checkpoint_with_its_own_classes(tmp_path, caplog):
    """Its number of classes is found, and both classifiers are kept, or fresh together."""
    source = seeded_source(built(numbered(5)), NAME_MAP)
    wanted = give_seeded(built(numbered(5)), NAME_MAP)
    path, x = save_state(tmp_path / "mine.pth", source), image(33, 48)[None]
    model = zoo.load(MODEL, path)
    assert label_set_of(model) == numbered(5)
    np.testing.assert_array_equal(model(x), wanted(x))
    with caplog.at_level(logging.WARNING, logger="zoo"):
        other = zoo.load(MODEL, path, classes=named(("road", "sky")))
    assert "fresh: classifier" in caplog.text
    assert other.output_shape[-1] == 2
    np.testing.assert_array_equal(
        other.get_layer("lite.gate.conv").kernel, source["classifier.scale.1.weight"].transpose(2, 3, 1, 0)
    )
    del source["classifier.low_classifier.weight"]
    with pytest.raises(MismatchError, match=r"missing in the file \(1\): classifier\.low_classifier\.weight"):
        zoo.load(MODEL, save_state(path, source))


def test_other_classes_on_a_built_model():
    model = built(numbered(4), width=0.25, channels=8)
    changed = with_classes(model, named(("road", "sky", "tree")))
    filters = {layer.name: layer.filters for layer in changed.layers if layer.name.startswith("classifier")}
    assert filters == {"classifier.low": 3, "classifier.high": 3}
    assert changed.get_layer("lite.reduce.conv") is model.get_layer("lite.reduce.conv")
    assert changed(image(33, 40)[None]).shape == (1, 33, 40, 3)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("convention", ["torchvision", "tf_deeplab", "smp"])
def test_every_convention_gives_the_size_of_the_image(convention, output_stride):
    """Also those that extend the image to whole cells."""
    build = registry.resolve("lraspp_mobilenet_v2").build()
    options = {"convention": convention, "output_stride": output_stride, "width": 0.25, "channels": 8}
    model = build(label_set=numbered(3), **options)
    assert model(image(33, 50)[None]).shape == (1, 33, 50, 3)
    assert build(label_set=numbered(3), input_shape=(33, 50, 3), **options).output_shape == (None, 33, 50, 3)


@pytest.mark.parametrize("channels", [0, True, 8.0])
def test_impossible_widths(channels):
    with pytest.raises(InputError, match="channels must be a positive integer"):
        built(channels=channels)
