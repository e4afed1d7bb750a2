"""Files of Keras 2, and weights that Keras 3 wrote in several files."""

import json

import h5py
import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.damaged import refusal
from support.torch_parity import relative_error

import zoo
from zoo.compression.bridge import to_tf_keras
from zoo.errors import FormatError, InputError, MismatchError
from zoo.labels import numbered
from zoo.layers.resize import label_set_of
from zoo.weights.readers.keras2_file import is_keras2, read_keras2

NAME = "deeplabv3_aspp_mobilenet_v2"
X = image(49, 66)[None]


@pytest.fixture(scope="module")
def trained():
    """A narrow model whose settings no catalog entry has."""
    settings = {"width": 0.25, "aspp_channels": 16}
    return zoo.load(NAME, weights=None, classes=4, output_stride=8, settings=settings)


@pytest.fixture(scope="module")
def network(trained):
    """The same in tf_keras."""
    return to_tf_keras(trained).network


@pytest.mark.parametrize("suffix", [".h5", ".H5", ".hdf5"])
def test_a_whole_model_of_tf_keras_says_what_it_is(suffix, trained, network, tmp_path):
    path = tmp_path / f"m{suffix}"
    network.save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(path)
    assert is_keras2(path)
    with h5py.File(path, "r+") as file:  # as the files of a training have them
        file["optimizer_weights/training/Adam/m:0"] = np.ones(3, np.float32)
    model = zoo.load(NAME, path)
    assert label_set_of(model) == label_set_of(trained)
    np.testing.assert_array_equal(model(X), trained(X))
    with pytest.raises(InputError, match="holds weights of 'deeplabv3_aspp_mobilenet_v2', not of 'pspnet_"):
        zoo.load("pspnet_mobilenet_v2", path)


def test_a_whole_model_of_keras_3(trained, tmp_path):
    trained.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(zoo.load(NAME, tmp_path / "m.h5")(X), trained(X))
    other = zoo.load(NAME, tmp_path / "m.h5", classes=3)
    assert other.output_shape[-1] == 3
    kernel = "aspp.project.conv"
    np.testing.assert_array_equal(other.get_layer(kernel).kernel, trained.get_layer(kernel).kernel)


def test_weights_alone_need_their_settings(trained, network, tmp_path):
    """They fit where the settings are said, and are asked about where several fit."""
    network.save_weights(tmp_path / "w.h5")
    stated = {"width": 0.25, "aspp_channels": 16}
    model = zoo.load(
        NAME, tmp_path / "w.h5", output_stride=8, settings={**stated, "convention": "torchvision"}
    )
    np.testing.assert_array_equal(model(X), trained(X))
    with pytest.raises(MismatchError, match=r"w\.h5: its shapes fit several settings .*output_stride"):
        zoo.load(NAME, tmp_path / "w.h5", settings=stated)
    with pytest.raises(MismatchError, match=r"different shapes"):
        zoo.load(NAME, tmp_path / "w.h5")


def test_an_auxiliary_head_is_left_out_or_kept(tmp_path, caplog):
    trained = zoo.load(NAME, weights=None, classes=3, auxiliary=True, settings={"width": 0.1})
    trained.save(tmp_path / "m.h5")
    np.testing.assert_array_equal(zoo.load(NAME, tmp_path / "m.h5")(X), trained(X)["logits"])
    both = zoo.load(NAME, tmp_path / "m.h5", auxiliary=True)
    np.testing.assert_array_equal(both(X)["auxiliary"], trained(X)["auxiliary"])


@pytest.mark.parametrize("alpha, top", [(1.0, True), (0.35, False)])
def test_the_mobilenet_of_keras_applications(alpha, top, tmp_path):
    """Its features, and the backbone of a model that its file is given to."""
    options = {"include_top": top, "classes": 10} if top else {"include_top": False}
    original = keras.applications.MobileNetV2((96, 64, 3), alpha=alpha, weights=None, **options)
    rng = np.random.default_rng(0)
    for variable in original.weights:
        if "moving_variance" in variable.path or "gamma" in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
    original.save(tmp_path / "m.h5")
    model = zoo.load("lraspp_mobilenet_v2", tmp_path / "m.h5", classes=3, output_stride=32)
    x = image(96, 64)[None]
    wanted = keras.Model(original.input, original.get_layer("block_16_project_BN").output)(x / 127.5 - 1)
    got = keras.Model(model.input, model.get_layer("backbone.block16.project.bn").output)(x)
    assert relative_error(np.asarray(got), np.asarray(wanted)) < 1e-4


def written(path, layers, **attributes):
    """A file of Keras 2 by hand: layer → arrays by their stored names."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs.update(attributes)
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, array in arrays.items():
                group[name] = array
    return path


def test_names_of_variables(tmp_path):
    """Scopes that Keras 2 numbered anew, depthwise kernels, models as layers, names in several lists."""
    one, two = np.float32([[1]]), np.float64([[2]])
    path = written(
        tmp_path / "m.h5",
        {
            "conv": {"conv_1/kernel:0": one, "conv_1/bias:0": two},
            "dw": {"dw/depthwise_kernel:0": two},
            "inner": {"a/kernel:0": one, "b/kernel:0": two},
            "counted": {"n:0": np.int32(3)},
            "empty": {},
        },
    )
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    found = read_keras2(path)
    assert {name: array.item() for name, array in found.items()} == {
        "conv/kernel": 1,
        "conv/bias": 2,
        "dw/kernel": 2,
        "a/kernel": 1,
        "b/kernel": 2,
    }
    assert {array.dtype for array in found.values()} == {np.dtype("float32")}


CONFIGS = {
    "no JSON": "{",
    "deep": '{"class_name": ' * 9000 + "1" + "}" * 9000,
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_crafted_files_of_keras_2_are_refused(kind, tmp_path):
    layers = {"a": {"a/kernel:0": np.ones((1, 1))}}
    refusal(read_keras2, written(tmp_path / "m.h5", layers, model_config=CONFIGS[kind]))


def test_other_files_are_told_apart(trained, tmp_path):
    trained.save_weights(tmp_path / "w.weights.h5")
    assert not is_keras2(tmp_path / "w.weights.h5")
    (tmp_path / "w.weights.h5").rename(tmp_path / "w.h5")
    assert "it names no layers" in refusal(read_keras2, tmp_path / "w.h5")
    twice = {"a": {"a/k:0": np.ones(1)}, "b": {"c/a/k:0": np.ones(1), "d/k:0": np.ones(1)}}
    assert "two variables are called 'a/k'" in refusal(read_keras2, written(tmp_path / "t.h5", twice))
    missing = written(tmp_path / "n.h5", {"a": {"a/k:0": np.ones(1)}})
    with h5py.File(missing, "r+") as file:
        del file["a/a/k:0"]
    refusal(read_keras2, missing)


# --- several files ------------------------------------------------------------------------------


@pytest.fixture
def sharded(trained, tmp_path):
    path = tmp_path / "m.weights.json"
    trained.save_weights(path, max_shard_size=0.0002)
    assert len(list(tmp_path.iterdir())) > 3
    return path


def test_weights_in_several_files(trained, sharded, tmp_path):
    """The table, or any of its parts; what the model is stands in one of them."""
    for path in (sharded, tmp_path / "m_00001.weights.h5"):
        model = zoo.load(NAME, path)
        assert label_set_of(model) == numbered(4)
        np.testing.assert_array_equal(model(X), trained(X))


def changed(path, change):
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


TABLES = {
    "elsewhere": (lambda t: t["weight_map"].update(a="../m_00000.weights.h5"), "none of its parts"),
    "a whole path": (lambda t: t["weight_map"].update(a="/etc/m_00000.weights.h5"), "none of its parts"),
    "another file": (lambda t: t["weight_map"].update(a=["m.weights.json"]), "none of its parts"),
    "an absent file": (lambda t: t["weight_map"].update(a="m_99999.weights.h5"), "not beside it"),
    "no names": (lambda t: t["weight_map"].update(a=[1]), r"not a readable \.weights\.json"),
    "no table": (lambda t: t.pop("weight_map"), r"not a readable \.weights\.json"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_crafted_tables_are_refused(kind, sharded):
    change, reason = TABLES[kind]
    changed(sharded, change)
    with pytest.raises(FormatError, match=reason) as caught:
        zoo.load(NAME, sharded)
    assert "\n" not in str(caught.value)


def test_a_damaged_part_is_refused(sharded, tmp_path):
    part = tmp_path / "m_00002.weights.h5"
    part.write_bytes(part.read_bytes()[:-500])
    with pytest.raises(FormatError, match=r"m_00002\.weights\.h5"):
        zoo.load(NAME, sharded)
