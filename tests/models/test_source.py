"""Where a model came from is part of it: through files, copies and changes."""

import keras
import numpy as np
import pytest
from support.networks import LABELS, mobile

import zoo
from zoo.compression.bridge import to_tf_keras
from zoo.compression.compressed import copied
from zoo.compression.quantizable import quantizable
from zoo.errors import InputError
from zoo.export.core.deployment import fingerprint, prepare
from zoo.labels import numbered
from zoo.layers.resize import SegmentationLogits, logits_layer_of, set_source, source_of
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.surgery import with_classes, without_auxiliary

SOURCE = {"model": "small", "weights": "seeded"}


@pytest.fixture
def model():
    made = mobile(deeplabv3_aspp, aspp_channels=8, auxiliary=True, name="small")
    return set_source(made, name="small", weights="seeded")


def test_a_fresh_model_has_none():
    assert source_of(mobile(deeplabv3_aspp, aspp_channels=8)) is None


def test_it_survives_saving(model, tmp_path):
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert source_of(again) == SOURCE
    assert logits_layer_of(again).get_config() == logits_layer_of(model).get_config()


def test_copies_have_it(model):
    images = [np.random.default_rng(0).uniform(0, 255, (1, 33, 33, 3)).astype("float32")]
    copy = copied(model)
    made = {
        "one output": without_auxiliary(model),
        "other classes": with_classes(model, numbered(4)),
        "a copy": copy,
        "there and back": to_tf_keras(copy).to_keras(),
        "quantizable": quantizable(copy, images).model,
    }
    assert {name: source_of(other) for name, other in made.items()} == dict.fromkeys(made, SOURCE)


def test_models_that_share_layers_keep_their_own(model):
    """What is made for other classes shares all layers but the last ones."""
    other = with_classes(model, numbered(4))
    assert other.get_layer("aspp.project.conv") is model.get_layer("aspp.project.conv")
    set_source(other, name="small", weights="mine.keras")
    copy = set_source(copied(model), name="small", weights=None)
    assert source_of(model) == SOURCE
    assert source_of(other) == {"model": "small", "weights": "mine.keras"}
    assert source_of(copy) == {"model": "small", "weights": None}


def test_it_is_no_part_of_the_fingerprint(model):
    plain = without_auxiliary(model)
    before = fingerprint(plain)
    set_source(plain, name="small", weights="another")
    assert fingerprint(plain) == before
    assert prepare(plain).metadata.source == {"model": "small", "weights": "another"}


def test_a_file_is_named_without_its_folder(tmp_path):
    path = tmp_path / "mine.keras"
    zoo.load("context_aggregation", weights=None, classes=3).save(path)
    name = "context_aggregation_mobilenet_v2"
    for options in ({}, {"classes": 4}, {"output_stride": 16}):
        loaded = zoo.load("context_aggregation", path, **options)
        assert source_of(loaded) == {"model": name, "weights": "mine.keras"}
    assert source_of(keras.models.load_model(path)) == {"model": name, "weights": None}


def test_what_is_given_out_is_a_copy(model):
    source_of(model)["weights"] = "changed"
    logits_layer_of(model).get_config()["source"]["weights"] = "changed"
    assert source_of(model) == SOURCE


@pytest.mark.parametrize(
    "source", ["camvid", {"model": "x"}, {"model": 1, "weights": None}, {**SOURCE, "a": 1}]
)
def test_other_forms_are_refused(source):
    with pytest.raises(InputError, match="a source is"):
        SegmentationLogits(convention="half_pixel", label_set=LABELS, source=source)


def test_only_zoo_models_have_one():
    image = keras.Input((8, 8, 3))
    with pytest.raises(InputError, match="not a zoo model"):
        source_of(keras.Model(image, keras.layers.ReLU()(image)))
