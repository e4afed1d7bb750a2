"""Files of weights bring along how their model was built, or somebody has to say it."""

import h5py
import numpy as np
import pytest

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError, MismatchError
from zoo.labels import named, numbered
from zoo.layers.resize import label_set_of, logits_layer_of
from zoo.models.loading import arrays_of
from zoo.provenance import ABOUT
from zoo.weights import fetch
from zoo.weights.catalog import find
from zoo.weights.npz import write_npz

MODEL = "deeplabv3_aspp_mobilenet_v2"
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 65, 65, 3)).astype(np.float32)
SMALL = {"width": 0.25, "aspp_channels": 16}


def saved(model, folder, kind):
    """The path of a file of `model`, of that kind."""
    path = folder / f"m{kind}"
    if kind == ".weights.h5":
        model.save_weights(path)
    elif kind == ".keras":
        model.save(path)
    else:
        model.save(folder / "m.keras")
        assert cli.main(["weights", "pack", str(folder / "m.keras"), str(path)]) == 0
    return path


def assert_same(again, model):
    expected = model(IMAGE).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(again(IMAGE).numpy() / scale, expected / scale, atol=1e-5)


def silence(path, folder):
    """The same file of variables as Keras writes it of a model that states nothing."""
    with h5py.File(path, "r+") as file:
        for group in file["layers"].values():
            if ABOUT in group.get("vars", {}):
                del group["vars"][ABOUT]
    return path


@pytest.mark.parametrize("kind", [".weights.h5", ".npz", ".keras"])
@pytest.mark.parametrize(
    "settings, stride", [({"rates_at_16": (2, 3, 5)}, 8), ({"rates": (1, 4, 9), "dropout": 0.3}, 32)]
)
def test_stride_and_rates_come_with_the_file(tmp_path, kind, settings, stride):
    names = named(("ground", "square", "circle"))
    model = zoo.load(MODEL, weights=None, classes=names, output_stride=stride, settings={**SMALL, **settings})
    model.set_weights([w.astype(np.float16).astype(w.dtype) for w in model.get_weights()])  # what .npz holds
    path = saved(model, tmp_path, kind)
    again = zoo.load(MODEL, path)
    assert_same(again, model)
    assert label_set_of(again) == names
    fixed = zoo.load(MODEL, path, input_shape=(65, 65, 3))
    assert_same(fixed, again)


def test_a_saved_model_of_an_older_version_is_read_by_its_graph(tmp_path):
    model = zoo.load(MODEL, "camvid", output_stride=16)
    logits_layer_of(model).settings = None
    model.save(tmp_path / "m.keras")
    assert_same(zoo.load(MODEL, tmp_path / "m.keras", input_shape=(65, 65, 3)), model)


def test_the_bundled_model_packed_is_itself(tmp_path):
    model = zoo.load(MODEL, "camvid")
    again = zoo.load(MODEL, saved(model, tmp_path, ".npz"))
    assert_same(again, model)
    assert label_set_of(again) == label_set_of(model)


def test_a_copy_of_a_published_file_has_its_settings_and_names(tmp_path):
    copy = tmp_path / "copy.npz"
    copy.write_bytes(fetch.fetch(find(MODEL, "camvid")).read_bytes())
    again, model = zoo.load(MODEL, copy), zoo.load(MODEL, "camvid")
    assert_same(again, model)
    assert label_set_of(again) == label_set_of(model)


def test_variables_alone_need_the_stride(tmp_path):
    model = zoo.load(MODEL, weights=None, classes=21, output_stride=8)
    path = silence(saved(model, tmp_path, ".weights.h5"), tmp_path)
    with pytest.raises(MismatchError, match=r"output_stride 8 or 16 or 32; say which by output_stride=…"):
        zoo.load(MODEL, path)
    again = zoo.load(MODEL, path, output_stride=8)
    assert_same(again, model)
    assert label_set_of(again) == numbered(21)


def test_variables_of_an_architecture_with_one_stride_need_nothing(tmp_path):
    model = zoo.load("duc_hdc_mobilenet_v2", weights=None, classes=3)
    path = silence(saved(model, tmp_path, ".weights.h5"), tmp_path)
    assert_same(zoo.load("duc_hdc_mobilenet_v2", path), model)


def test_weights_of_another_model_are_named(tmp_path):
    model = zoo.load("pspnet_mobilenet_v2", weights=None, classes=3, settings={"width": 0.25})
    for kind in (".weights.h5", ".npz"):
        with pytest.raises(InputError, match="holds weights of 'pspnet_mobilenet_v2', not of"):
            zoo.load(MODEL, saved(model, tmp_path, kind))


def test_keras_own_loading_says_what_differs(tmp_path, caplog):
    model = zoo.load(MODEL, weights=None, classes=3, output_stride=8, settings=SMALL)
    path = saved(model, tmp_path, ".weights.h5")
    other = zoo.load(MODEL, weights=None, classes=named(("a", "b", "c")), settings=SMALL)
    caplog.clear()
    other.load_weights(path)
    assert "output_stride 8, here 16; classes class 0, class 1, class 2, here a, b, c" in caplog.text
    caplog.clear()
    model.load_weights(path)
    assert not caplog.messages


@pytest.mark.parametrize("kind", [".weights.h5", ".npz", ".keras"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite(tmp_path, kind, value):
    model = zoo.load(MODEL, weights=None, classes=3, settings=SMALL)
    if kind == ".npz":
        arrays = arrays_of(model)
        arrays["classifier/bias"] = np.array([0, value, 0], np.float32)
        write_npz(tmp_path / "m.npz", arrays, classes=3)
        with pytest.raises(FormatError, match=r"1 of 3 values of classifier/bias are not finite"):
            zoo.load(MODEL, tmp_path / "m.npz", output_stride=16, settings=SMALL)
        return
    bias = model.get_layer("classifier").bias
    bias.assign(np.array([0, value, 0], np.float32))
    with pytest.raises(FormatError, match=r"1 of 3 values of classifier/bias are not finite") as caught:
        zoo.load(MODEL, saved(model, tmp_path, kind))
    assert "\n" not in str(caught.value)
