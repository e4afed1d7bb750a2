"""A user's torch checkpoints with and without an auxiliary head, and what happens to each part."""

import logging

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_files import simple, write_legacy, write_zip
from support.torch_parity import relative_error, seeded_source

import zoo
from zoo import labels
from zoo.errors import InputError, MismatchError
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.models.heads.aspp import dead_taps, dead_taps_message, model_dead_taps
from zoo.models.surgery import with_classes, without_auxiliary
from zoo.weights import catalog, name_maps

MODEL = "deeplabv3_aspp_mobilenet_v3_large"
CLASSES = 5


def seeded():
    """A model as torchvision's, and the state dictionary that torchvision would save of it."""
    entry = catalog.find(MODEL, "coco")
    build = registry.resolve(MODEL).build()
    model = build(label_set=labels.numbered(CLASSES), auxiliary=True, **entry.settings)
    name_map = name_maps.resolve(entry.name_map)
    return seeded_source(model, name_map)


@pytest.fixture(scope="module")
def source():
    return seeded()


def save(path, source, write=write_zip):
    """A checkpoint as torch writes it, with the step counters of batch norm."""
    source = {**source, "backbone.0.1.num_batches_tracked": np.array([7], "int64")}
    pairs = {name: simple(str(index), array) for index, (name, array) in enumerate(source.items())}
    root = {name: tensor for name, (tensor, _) in pairs.items()}
    return write(path, root, [storage for _, storage in pairs.values()])


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_a_users_checkpoint_with_its_own_classes(tmp_path, source, write, caplog):
    path = save(tmp_path / "mine.pth", source, write)
    with caplog.at_level(logging.INFO, logger="zoo"):
        plain = zoo.load(MODEL, weights=path)
    assert plain.output_shape == (None, None, None, CLASSES)
    assert len(label_set_of(plain)) == CLASSES
    ignored = [r.message for r in caplog.records if "ignored" in r.message]
    assert len(ignored) == 1
    assert "ignored 7 tensors of mine.pth: " in ignored[0] and "auxiliary.classifier/bias" in ignored[0]
    full = zoo.load(MODEL, weights=str(path), auxiliary=True)
    assert set(full.output) == {"logits", "auxiliary"}
    x = image(33, 48)[None]
    outputs = full(x)
    assert outputs["auxiliary"].shape == outputs["logits"].shape == (1, 33, 48, CLASSES)
    np.testing.assert_array_equal(outputs["logits"], plain(x))
    bias = full.get_layer("auxiliary.classifier").bias
    np.testing.assert_array_equal(bias, source["aux_classifier.4.bias"])
    assert relative_error(np.asarray(without_auxiliary(full)(x)), np.asarray(plain(x))) < 1e-6
    assert without_auxiliary(plain) is plain


def test_a_checkpoint_without_the_auxiliary_head(tmp_path, source, caplog):
    path = save(tmp_path / "m.pth", {n: a for n, a in source.items() if not n.startswith("aux_")})
    with caplog.at_level(logging.INFO, logger="zoo"):
        zoo.load(MODEL, weights=path)
    assert not caplog.records
    with caplog.at_level(logging.INFO, logger="zoo"):
        zoo.load(MODEL, weights=path, auxiliary=True)
    assert caplog.messages[-1].endswith("fresh: auxiliary")
    torn = {n: a for n, a in source.items() if n != "aux_classifier.1.running_var"}
    with pytest.raises(MismatchError, match=r"missing in the file \(1\): aux_classifier.1.running_var"):
        zoo.load(MODEL, weights=save(tmp_path / "torn.pth", torn))


def test_fresh_classifiers_on_loaded_features(tmp_path, source, caplog):
    path = save(tmp_path / "m.pth", source)
    model = zoo.load(MODEL, weights=path, classes=3, auxiliary=True)
    assert caplog.messages[-1].endswith("fresh: auxiliary.classifier, classifier")
    kernel = np.asarray(model.get_layer("auxiliary.reduce.conv").kernel)
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), source["aux_classifier.0.weight"])
    again = with_classes(model, labels.numbered(4))
    assert {k: v.shape[-1] for k, v in again.output.items()} == {"logits": 4, "auxiliary": 4}
    assert len(label_set_of(again)) == 4
    model.save(tmp_path / "m.keras")
    loaded = zoo.load(MODEL, weights=tmp_path / "m.keras", classes=2)
    assert {k: v.shape[-1] for k, v in loaded.output.items()} == {"logits": 2, "auxiliary": 2}


def test_training_with_two_losses():
    model = zoo.load("pspnet_mobilenet_v2", weights=None, classes=2, input_shape=(32, 32, 3), auxiliary=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = {"logits": 1.0, "auxiliary": 0.4}
    model.compile("sgd", dict.fromkeys(weights, loss), loss_weights=weights, run_eagerly=True)
    y = np.ones((2, 32, 32), "int32")
    before = np.asarray(model.get_layer("auxiliary.reduce.conv").kernel)
    history = model.fit(image(32, 32)[None].repeat(2, 0), dict.fromkeys(weights, y), verbose=0).history
    assert history["loss"][0] == pytest.approx(history["logits_loss"][0] + 0.4 * history["auxiliary_loss"][0])
    assert np.abs(np.asarray(model.get_layer("auxiliary.reduce.conv").kernel) - before).max() > 0


def test_models_without_an_auxiliary_output(monkeypatch):
    spec = registry.resolve(MODEL)
    monkeypatch.setattr(type(spec), "build", lambda self: lambda *, label_set, input_shape, name: None)
    with pytest.raises(InputError, match="has no auxiliary output"):
        zoo.load(MODEL, weights=None, auxiliary=True)


# --- taps of ASPP that see only padding ------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (12, 13), (18, 12), (33, 33)])
@pytest.mark.parametrize("rate", [1, 6, 12, 18])
def test_dead_taps_by_trying_each_one(size, rate):
    """A tap is dead if no output position reads a pixel of the map through it."""
    rows, columns = size
    dead = []
    for r in (-1, 0, 1):
        for c in (-1, 0, 1):
            sees = any(0 <= y + r * rate < rows for y in range(rows))
            sees = sees and any(0 <= x + c * rate < columns for x in range(columns))
            if not sees:
                dead.append((r, c))
    assert dead_taps(rate, size) == tuple(dead)


def test_warning_names_branch_rate_size_and_taps(caplog):
    model = zoo.load("deeplabv3_aspp", weights=None, input_shape=(192, 256, 3))
    warned = [r.message for r in caplog.records if "padding" in r.message]
    assert len(warned) == 1 and "\n" not in warned[0]
    assert "12x16" in warned[0]
    assert "aspp.conv1" not in warned[0]
    assert "aspp.conv2 at rate 12: 6 of 9 taps, (-1,-1) (-1,+0) (-1,+1) (+1,-1) (+1,+0) (+1,+1)" in warned[0]
    assert "aspp.conv3 at rate 18: 8 of 9 taps, all but the centre" in warned[0]
    assert model_dead_taps(model, (192, 256)) == warned[0]
    with pytest.raises(InputError, match="was built for images of"):
        model_dead_taps(model, (513, 513))
    caplog.clear()
    dynamic = zoo.load("deeplabv3_aspp", weights=None)
    assert model_dead_taps(dynamic, (513, 513)) is None
    assert model_dead_taps(dynamic, (192, 256)) == warned[0]
    assert not [r for r in caplog.records if "padding" in r.message]


def test_dead_taps_of_separable_branches_and_other_models():
    build = registry.resolve("deeplabv3_aspp").build()
    separable = build(label_set=labels.VOC21, separable=True)
    assert model_dead_taps(separable, (65, 65)) == dead_taps_message((6, 12, 18), (5, 5))
    with pytest.raises(InputError, match="no atrous spatial pyramid pooling"):
        model_dead_taps(zoo.load("pspnet", weights=None), (65, 65))
