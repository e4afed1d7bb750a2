"""`zoo.load`: published weights, a user's files, strictness, and what fails how."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.errors import DownloadError, FormatError, InputError, MismatchError
from zoo.labels import VOC21, named
from zoo.layers.resize import label_set_of
from zoo.models.assignment import assign
from zoo.weights import catalog, name_maps
from zoo.weights.name_maps.conversion import convert

MODEL = "deeplabv3_aspp_mobilenet_v2"
CORAL = {"voc2012": "deeplabv3_mnv2_pascal_quant", "voc2012_w050": "deeplabv3_mnv2_dm05_pascal_quant"}


@pytest.fixture
def mirror(data_dir, tmp_path, monkeypatch):
    """The real files as a mirror, an empty cache, and no network."""
    monkeypatch.setenv("ZOO_MIRROR", str(data_dir))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    return data_dir


def weights_of(model):
    """Variables by path, without the state of dropout's random generator."""
    return {v.path: np.asarray(v) for v in model.variables if "seed_generator" not in v.path}


def assert_same_weights(model, wanted, *, but=()):
    got, wanted = weights_of(model), weights_of(wanted)
    assert list(got) == list(wanted)
    for path in got:
        if not path.startswith(but):
            np.testing.assert_array_equal(got[path], wanted[path], err_msg=path)


def interpreter_mask(path, image):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=2)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).squeeze()


@pytest.mark.parametrize(
    "tag, agreement, companion", [("voc2012", 0.995, 0.95), ("voc2012_w050", 0.98, 0.91)]
)
def test_published_weights_segment_the_bird(mirror, tag, agreement, companion):
    coral = mirror / "coral"
    image = np.asarray(Image.open(coral / "bird_segmentation.bmp").convert("RGB"))
    truth = np.asarray(Image.open(coral / "bird_segmentation_mask.bmp"))
    model = zoo.load(MODEL, weights=tag)
    mask = np.argmax(model.predict(image[None], verbose=0)[0], axis=-1)
    assert (mask == interpreter_mask(coral / f"{CORAL[tag]}.tflite", image)).mean() >= agreement
    agree = (mask == truth).sum()
    assert agree / (2 * mask.size - agree) >= companion
    assert label_set_of(model) == VOC21


def test_imagenet_fills_the_backbone_and_says_what_is_fresh(mirror, caplog):
    with caplog.at_level(logging.WARNING, logger="zoo"):
        model = zoo.load(MODEL, weights="imagenet", classes=4)
    assert "fresh: aspp, classifier" in caplog.text
    stem = model.get_layer("backbone.stem.bn")
    assert float(np.abs(stem.moving_mean).sum()) > 0
    assert model.output_shape == (None, None, None, 4)


def test_fresh_classifier_keeps_the_features(mirror, caplog):
    with caplog.at_level(logging.WARNING, logger="zoo"):
        fresh, whole = zoo.load(MODEL, weights="voc2012", classes=5), zoo.load(MODEL, weights="voc2012")
    assert "fresh: classifier" in caplog.text
    assert_same_weights(fresh, whole, but=("classifier",))


def test_output_stride_can_be_changed(mirror):
    model = zoo.load(MODEL, weights="voc2012", output_stride=8, input_shape=(65, 65, 3))
    assert model.get_layer("aspp.concat").output.shape[1:3] == (9, 9)


def test_converted_weights_are_cached_and_quick(mirror, tmp_path):
    zoo.load(MODEL, weights="imagenet")
    cached = list((tmp_path / "cache").rglob("*.npz"))
    assert len(cached) == 1
    stamp = cached[0].stat().st_mtime_ns
    zoo.load(MODEL, weights="imagenet")
    assert cached[0].stat().st_mtime_ns == stamp


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_users_own_files(tmp_path, suffix):
    model = zoo.load(MODEL, weights=None, classes=7)
    path = tmp_path / f"mine{suffix}"
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    again = zoo.load(MODEL, weights=path)
    assert_same_weights(again, model)
    fresh = zoo.load(MODEL, weights=path, classes=3)
    assert fresh.output_shape[-1] == 3
    assert_same_weights(fresh, model, but=("classifier",))


def test_a_users_source_checkpoints(mirror):
    coral = zoo.load(MODEL, weights=mirror / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite")
    assert coral.count_params() == zoo.load(MODEL, weights="voc2012_w050").count_params()
    torch = zoo.load(MODEL, weights=mirror / "weights" / "mobilenet_v2-b0353104.pth")
    assert float(np.abs(torch.get_layer("backbone.stem.bn").moving_mean).sum()) > 0
    with pytest.raises(MismatchError, match="does not fit name map"):
        zoo.load(MODEL, weights=mirror / "coral" / "deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite")


@pytest.mark.parametrize("name", ["junk.keras", "junk.weights.h5", "junk.pth", "junk.tflite"])
def test_junk_files_give_one_clear_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"junk" * 100)
    with pytest.raises(FormatError, match=name) as caught:
        zoo.load(MODEL, weights=tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "deeplabv3_asp"}, "did you mean 'deeplabv3_aspp'"),
        ({"name": MODEL, "weights": "ade20k"}, "available: camvid, voc2012, voc2012_w050, imagenet"),
        ({"name": MODEL, "weights": "absent.pth"}, "no such weights file"),
        ({"name": MODEL, "weights": None, "classes": 1}, "classes must be an integer from 2"),
        ({"name": MODEL, "weights": None, "output_stride": 5}, "output_stride must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        zoo.load(**arguments)


def test_without_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.delenv("ZOO_MIRROR", raising=False)
    with pytest.raises(DownloadError) as caught:
        zoo.load(MODEL, weights="voc2012")
    assert "\n" not in str(caught.value)
    assert "ZOO_OFFLINE" in str(caught.value)


def test_conversion_is_strict_in_both_directions():
    name_map = name_maps.resolve("torchvision_mobilenet_v2")
    with pytest.raises(MismatchError, match=r"missing in the file \(\d+\): features.0.0.weight"):
        convert({"features.99.weight": np.zeros(1)}, name_map)
    with pytest.raises(MismatchError, match=r"unknown in the file \(1\): features.99.weight"):
        convert({"features.99.weight": np.zeros(1)}, name_map)


def test_assignment_is_strict_and_sets_nothing_when_it_fails():
    first, second = keras.Variable(np.zeros(2), name="a"), keras.Variable(np.zeros(3), name="b")
    variables = {"a": first, "b": second}
    with pytest.raises(MismatchError, match=r"without a value \(1\): b.*without a variable \(1\): c"):
        assign(variables, {"a": np.ones(2), "c": np.ones(1)}, subject="test")
    with pytest.raises(MismatchError, match=r"different shapes \(1\): b \(4,\) for \(3,\)"):
        assign(variables, {"a": np.ones(2), "b": np.ones(4)}, subject="test")
    assert not np.asarray(first).any()


def test_catalog_is_complete():
    for entry in catalog.ENTRIES:
        # No whole digest of these files was ever published; loading one needs an explicit opt-in.
        assert entry.sha256 or entry.sha256_start or entry.source == "https://github.com/fyu/dilation"
        assert entry.name_map in name_maps.NAME_MAPS
        assert entry.licence
        if entry.bundled:
            assert not entry.urls and "MODEL_CARD.md" in entry.source
        else:
            assert entry.urls and entry.source.startswith("https://")
        assert (entry.score is None) or (entry.metric and entry.protocol)


def test_import_is_light_and_quick():
    code = (
        "import time, sys, json; t = time.process_time(); import zoo; zoo.list_models();"
        "zoo.info('deeplabv3_aspp');"
        "heavy = [m for m in ('tensorflow', 'keras', 'matplotlib', 'torch') if m in sys.modules];"
        "print(json.dumps([heavy, time.process_time() - t]))"
    )
    runs = []
    for _ in range(3):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
        assert out.returncode == 0, out.stderr
        heavy, seconds = json.loads(out.stdout)
        assert heavy == []
        runs.append(seconds)
        time.sleep(0.05)
    assert min(runs) < 0.5


def test_a_label_set_names_the_fresh_classes(mirror):
    labels = named(["road", "car", "sky"])
    assert label_set_of(zoo.load(MODEL, weights="voc2012", classes=labels)) == labels
    with pytest.raises(InputError, match="or a label set"):
        zoo.load(MODEL, weights=None, classes="road")


@pytest.mark.parametrize(
    "name", ["deeplabv3_aspp", "deeplabv3_plus", "lraspp", "pspnet", "duc_hdc", "context_aggregation"]
)
def test_a_new_process_reads_a_saved_model(tmp_path, name):
    """Nothing but what the code itself imports: a test's process has long imported every layer."""
    zoo.load(name, weights=None, classes=3).save(tmp_path / "m.keras")
    code = (
        "import sys, keras, zoo, zoo.serializable;"
        "assert keras.models.load_model(sys.argv[1]).output_shape[-1] == 3"
    )
    alone = "import sys, zoo; assert zoo.load(sys.argv[2], sys.argv[1]).output_shape[-1] == 3"
    for program in (code, alone):
        command = [sys.executable, "-c", program, str(tmp_path / "m.keras"), name]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-2000:]


def test_every_registered_object_is_in_one_place():
    """`zoo.serializable` imports each module that registers something."""
    root = Path(zoo.__file__).parent
    texts = {path.relative_to(root): path.read_text() for path in root.rglob("*.py")}
    registering = {
        ".".join(("zoo", *path.with_suffix("").parts))
        for path, text in texts.items()
        if "@keras.saving.register_keras_serializable" in text
    }
    code = "import sys, zoo.serializable; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    missing = registering - set(run.stdout.split())
    assert registering and not missing


def test_a_saved_model_can_be_built_otherwise(tmp_path):
    """Another output stride, the same weights; the file brings the settings that the weights need."""
    model = zoo.load(MODEL, weights=None, classes=5, settings={"separable": True})
    model.save(tmp_path / "mine.keras")
    again = zoo.load(MODEL, tmp_path / "mine.keras", output_stride=8, settings={"separable": True})
    assert_same_weights(again, model)
    assert again.get_layer("backbone.block13.depthwise.conv").strides == 1
    stated = zoo.load(MODEL, tmp_path / "mine.keras", output_stride=8)
    assert_same_weights(stated, model)
    assert stated.get_layer("backbone.block13.depthwise.conv").strides == 1
    with pytest.raises(MismatchError, match=r"mine\.keras"):
        zoo.load(MODEL, tmp_path / "mine.keras", settings={"separable": False})


def test_a_sibling_gives_its_backbone(tmp_path, caplog):
    model = zoo.load(MODEL, weights=None, classes=5)
    model.save(tmp_path / "mine.keras")
    other = zoo.load("pspnet_mobilenet_v2", tmp_path / "mine.keras", classes=4)
    assert other.output_shape[-1] == 4
    theirs = {v.path: v.numpy() for v in model.variables if v.path.startswith("backbone.")}
    ours = {v.path: v.numpy() for v in other.variables if v.path.startswith("backbone.")}
    assert theirs.keys() == ours.keys() and len(theirs) == 255
    assert all(np.array_equal(theirs[path], ours[path]) for path in theirs)
    assert "kept 255 variables of mine.keras; fresh: pyramid" in caplog.text
    with pytest.raises(InputError, match="or another model of its backbone"):
        zoo.load("pspnet_resnet50", tmp_path / "mine.keras")


def test_settings_are_the_builders(tmp_path):
    with pytest.raises(InputError, match="has no setting seperable; it has convention, width"):
        zoo.load(MODEL, weights=None, settings={"seperable": True})
    with pytest.raises(InputError, match="has no setting label_set"):
        zoo.load(MODEL, weights=None, settings={"label_set": None})


def test_the_same_classes_keep_the_classifier(tmp_path):
    names = named(("ground", "square"))
    model = zoo.load(MODEL, weights=None, classes=names)
    model.save(tmp_path / "mine.keras")
    assert_same_weights(zoo.load(MODEL, tmp_path / "mine.keras", classes=names), model)
    otherwise = zoo.load(MODEL, tmp_path / "mine.keras", classes=names, output_stride=8)
    assert_same_weights(otherwise, model)
    others = zoo.load(MODEL, tmp_path / "mine.keras", classes=named(("ground", "circle")))
    fresh = others.get_layer("classifier").kernel.numpy()
    assert np.abs(fresh - model.get_layer("classifier").kernel.numpy()).max() > 0
