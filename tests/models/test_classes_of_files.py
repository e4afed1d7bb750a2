"""How many classes a file of weights has, and what they are called."""

import numpy as np
import pytest
from support.torch_files import simple, write_zip
from support.torch_parity import seeded_source

import zoo
from zoo.errors import FormatError, InputError, MismatchError
from zoo.labels import VOC21, named, numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.weights import catalog, name_maps

MODEL = "deeplabv3_aspp_mobilenet_v3_large"
SMALL = "deeplabv3_aspp_mobilenet_v2"
BIAS = "classifier.4.bias"


@pytest.fixture(scope="module")
def source():
    """What torchvision would save of a model of 21 classes."""
    entry = catalog.find(MODEL, "coco")
    model = registry.resolve(MODEL).build()(label_set=VOC21, **entry.settings)
    return seeded_source(model, name_maps.resolve(entry.name_map))


def save(path, source):
    pairs = {name: simple(str(index), array) for index, (name, array) in enumerate(source.items())}
    return write_zip(path, {n: tensor for n, (tensor, _) in pairs.items()}, [s for _, s in pairs.values()])


def test_a_file_of_ones_own_has_numbered_classes(tmp_path, source):
    assert label_set_of(zoo.load(MODEL, save(tmp_path / "m.pth", source))) == numbered(21)


def test_names_for_as_many_classes_keep_the_classifier(tmp_path, source, caplog):
    names = named([f"thing {index}" for index in range(21)])
    path = save(tmp_path / "m.pth", source)
    for wanted, expected in ((names, names), (21, numbered(21)), (np.int64(21), numbered(21))):
        model = zoo.load(MODEL, path, classes=wanted)
        assert label_set_of(model) == expected
        np.testing.assert_array_equal(model.get_layer("classifier").bias, source[BIAS])
    fresh = zoo.load(MODEL, path, classes=names, fresh_classifier=True)
    assert not np.any(fresh.get_layer("classifier").bias)
    assert label_set_of(fresh) == names
    with pytest.raises(InputError, match="keeps the classifier of 21 classes, but classes asks for 20"):
        zoo.load(MODEL, path, classes=20, fresh_classifier=False)


def test_one_channel_becomes_two_classes(tmp_path, source):
    """Sigmoid of x above a half is where class 1 wins, at every size of the image."""
    binary = {n: a[5:6] if n.startswith("classifier.4.") else a for n, a in source.items()}
    model = zoo.load(MODEL, save(tmp_path / "m.pth", binary))
    image = np.random.default_rng(3).integers(0, 256, (1, 47, 61, 3)).astype(np.float32)
    logits = model(image).numpy()
    whole = zoo.load(MODEL, save(tmp_path / "whole.pth", source))(image).numpy()
    assert label_set_of(model) == numbered(2)
    np.testing.assert_allclose(logits[..., 0], 0, atol=1e-6)
    np.testing.assert_allclose(logits[..., 1], whole[..., 5], rtol=1e-4, atol=1e-4 * np.abs(whole).max())
    names = named(("background", "crack"))
    assert label_set_of(zoo.load(MODEL, tmp_path / "m.pth", classes=names)) == names


@pytest.mark.parametrize("kind", [".keras", ".weights.h5"])
def test_own_files_keep_what_they_have(tmp_path, kind):
    """Numbers are no names; names that the file has are not replaced without being asked for."""
    model = zoo.load(SMALL, weights=None, classes=3, settings={"width": 0.25})
    names, others = named(("a", "b", "c")), named(("d", "e", "f"))

    def write(path):
        model.save(path) if kind == ".keras" else model.save_weights(path)
        return path

    kernel = np.asarray(model.get_layer("classifier").kernel)
    first = zoo.load(SMALL, write(tmp_path / f"one{kind}"), classes=names)
    assert label_set_of(first) == names
    np.testing.assert_array_equal(first.get_layer("classifier").kernel, kernel)
    model = first
    path = write(tmp_path / f"two{kind}")
    same = zoo.load(SMALL, path, classes=3)
    assert label_set_of(same) == names
    np.testing.assert_array_equal(same.get_layer("classifier").kernel, kernel)
    assert np.any(np.asarray(zoo.load(SMALL, path, classes=others).get_layer("classifier").kernel) != kernel)
    kept = zoo.load(SMALL, path, classes=others, fresh_classifier=False)
    assert label_set_of(kept) == others
    np.testing.assert_array_equal(kept.get_layer("classifier").kernel, kernel)
    fresh = zoo.load(SMALL, path, fresh_classifier=True)
    assert label_set_of(fresh) == names
    assert np.any(np.asarray(fresh.get_layer("classifier").kernel) != kernel)


def test_several_classifiers_of_one_channel_are_refused(tmp_path):
    from zoo.weights.one_channel import two_channels

    arrays = {"classifier.front/kernel": np.ones((1, 1, 4, 1)), "classifier/bias": np.ones(1)}
    with pytest.raises(MismatchError, match=r"m\.pth: a classifier of one channel"):
        two_channels(arrays, file="m.pth")


@pytest.mark.parametrize("name, value", [(BIAS, np.nan), ("backbone.0.1.running_var", -1.0)])
def test_values_that_no_training_gives(tmp_path, source, name, value):
    damaged = {**source, name: np.full_like(source[name], value)}
    with pytest.raises(FormatError, match=r"m\.pth.*(not finite|negative variances)"):
        zoo.load(MODEL, save(tmp_path / "m.pth", damaged))
