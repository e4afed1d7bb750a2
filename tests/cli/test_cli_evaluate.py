import json

import keras
import numpy as np
import pytest
from PIL import Image

import zoo.models.loading
from zoo import export
from zoo.cli import main
from zoo.labels import CAMVID11, LabelSet, numbered
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits

# Odd steps: no mean of three bytes is half-way between two shades.
COLORS = np.random.default_rng(0).permutation(np.arange(11) * 23).astype(np.uint8)


def build(label_set: LabelSet = CAMVID11) -> keras.Model:
    """The class whose shade of grey is the nearest."""
    image = keras.Input((None, None, 3), name="image")
    classifier = DilatedConv2D(len(label_set), kernel_size=1, use_bias=True, name="classifier")
    logits = SegmentationLogits(convention="half_pixel", label_set=label_set, name="logits")
    model = keras.Model(image, logits([classifier(image), image]), name="nearest")
    shades = COLORS[: len(label_set)].astype(np.float32)
    # (v − s)² is least where 2vs − s² is largest.
    classifier.set_weights([np.tile(2 * shades / 3, (1, 1, 3, 1)), -(shades**2)])
    return model


@pytest.fixture(autouse=True)
def loads(monkeypatch):
    calls = []

    def load(name, weights="default", *, allow_unverified=False):
        calls.append((name, weights, allow_unverified))
        return build()

    monkeypatch.setattr(zoo.models.loading, "load", load)
    return calls


@pytest.fixture
def camvid(tmp_path):
    """Three images in SegNet's layout; in the second and the third some columns show wrong classes."""
    root, rng = tmp_path / "camvid", np.random.default_rng(1)
    for name in ("val", "valannot"):
        (root / name).mkdir(parents=True)
    rows = []
    for number in range(3):
        mask = np.kron(rng.integers(0, 12, (4, 5)), np.ones((5, 4), int)).astype(np.uint8)
        image = np.append(COLORS, np.uint8(255))[mask]
        image[:, : 2 * number] = 255 - image[:, : 2 * number]
        Image.fromarray(image).convert("RGB").save(root / "val" / f"{number}.png")
        Image.fromarray(mask).save(root / "valannot" / f"{number}.png")
        rows.append(f"val/{number}.png valannot/{number}.png")
    (root / "val.txt").write_text("\n".join(rows))
    return root


def run(camvid, *arguments, model="anything"):
    options = ("--dataset", "camvid", "--data", camvid)
    return main(["evaluate", *map(str, (model, *options, *arguments))])


def mean_iou(capsys) -> str:
    lines = capsys.readouterr().out.splitlines()
    return next(line for line in lines if line.startswith("mean IoU")).split()[2]


def test_table_and_json(camvid, tmp_path, loads, capsys):
    assert run(camvid, "--json", tmp_path / "scores.json", "--weights", "mine", "--allow-unverified") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "camvid11 val 20x20 single-scale"
    assert loads == [("anything", "mine", True)]
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["protocol"] == out[0]
    assert (scores["evaluated"], scores["model"], scores["weights"]) == ("anything", "anything", "mine")
    assert f"{100 * scores['mean_iou']:.2f}" in next(line for line in out if line.startswith("mean IoU"))
    assert 0.3 < scores["mean_iou"] < 1
    assert scores["images"][0]["pixel_accuracy"] == 1


def test_pictures_of_the_worst(camvid, tmp_path, capsys):
    folder = tmp_path / "new" / "scores"
    assert run(camvid, "--worst", 2, "--output", folder, "--scales", "1,2", "--flip") == 0
    assert capsys.readouterr().out.startswith("camvid11 val 20x20 scales 1,2 flip\n")
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    assert found == ["confusion.png", "evaluation.json", "worst/01_2.png", "worst/02_1.png"]
    for path in folder.rglob("*.png"):
        assert min(Image.open(path).size) > 300


def test_an_artifact_brings_its_weights(camvid, tmp_path, loads, capsys):
    artifact = tmp_path / "m.onnx"
    export.to_onnx(build(), artifact)
    assert run(camvid, "--json", tmp_path / "a.json", model=artifact) == 0
    assert not loads
    assert run(camvid, "--json", tmp_path / "m.json") == 0
    artifact_scores, model_scores = (json.loads((tmp_path / f"{n}.json").read_text()) for n in "am")
    assert (artifact_scores["evaluated"], artifact_scores["model"]) == (str(artifact), "nearest")
    assert artifact_scores["confusion_matrix"] == model_scores["confusion_matrix"]
    capsys.readouterr()
    assert run(camvid, "--weights", "mine", model=artifact) == 2
    assert "weights of its own" in capsys.readouterr().err


def test_a_folder_with_names_of_its_own(tmp_path, capsys, monkeypatch):
    labels = LabelSet("mine", ("dark", "light"), ((0, 0, 0), (255, 255, 255)))
    monkeypatch.setattr(zoo.models.loading, "load", lambda *_, **__: build(labels))
    mask = np.indices((12, 16))[1].astype(np.uint8) // 8
    for folder, pixels in (("images", COLORS[mask]), ("masks", mask)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    options = ["evaluate", "m", "--dataset", "folder", "--data", str(tmp_path), "--split", "all"]
    (tmp_path / "names.txt").write_text("light\ndark\n")
    assert main([*options, "--classes", str(tmp_path / "names.txt")]) == 0
    assert mean_iou(capsys) == "0.00"
    (tmp_path / "names.txt").write_text("dark\nlight\n")
    assert main([*options, "--classes", str(tmp_path / "names.txt")]) == 0
    assert mean_iou(capsys) == "100.00"


def test_names_of_weights_that_have_none(tmp_path, camvid, capsys, monkeypatch):
    asked = []

    def load(*_, classes=None, fresh_classifier=None, **__):
        asked.append((classes and classes.names, fresh_classifier))
        return build(classes or numbered(11))

    monkeypatch.setattr(zoo.models.loading, "load", load)
    assert run(camvid) == 0
    by_position = mean_iou(capsys)
    names = CAMVID11.names
    for order in (names, names[::-1]):
        (tmp_path / "names.txt").write_text("\n".join(order))
        assert run(camvid, "--classes", tmp_path / "names.txt") == 0
        assert (mean_iou(capsys) == by_position) == (order == names)
    assert asked == [(None, None), (names, False), (names[::-1], False)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--worst", 3), "--output DIR"),
        (("--json", "missing/scores.json"), "there is no folder"),
        (("--split", "test"), "test"),
        (("--boundary", 0), "boundary must be a positive integer"),
        (("--classes", 11), "classes is an option of the kind 'folder'"),
    ],
)
def test_bad_input_is_one_line(camvid, arguments, message, capsys):
    assert run(camvid, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_classes_are_one_line(camvid, monkeypatch, capsys):
    labels = LabelSet("mine", ("dark", "light"), ((0, 0, 0), (255, 255, 255)))
    monkeypatch.setattr(zoo.models.loading, "load", lambda *_, **__: build(labels))
    assert run(camvid) == 2
    assert "the model has the 2 classes of mine, the data the 11 of camvid11" in capsys.readouterr().err
