import argparse
import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

import zoo.models.loading
from zoo.cli import export, verify
from zoo.errors import InputError, ParityError
from zoo.export.deploy import AGAINST_PADDING, REWRITES
from zoo.labels import named
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits, set_source

LABELS = named(("road", "sky"))


def run(*arguments):
    """Parse and run as the command does; its exit status."""
    parser = argparse.ArgumentParser(prog="zoo")
    subparsers = parser.add_subparsers(required=True)
    export.add_parser(subparsers)
    verify.add_parser(subparsers)
    args = parser.parse_args([str(a) for a in arguments])
    return args.run(args)


@pytest.fixture(autouse=True)
def loads(monkeypatch):
    """A small model in place of the catalog's; returns the calls of `load`. The tag is the seed."""
    calls = []

    def load(name, weights="default", *, classes=None, allow_unverified=False):
        calls.append((name, weights, classes))
        keras.utils.set_random_seed({"default": 0, "camvid": 0, None: 1}.get(weights, 2))
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 64)(image)
        x = DilatedConv2D(len(LABELS), kernel_size=3, rate=2, name="classifier")(x)
        x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
        model = keras.Model(image, x, name=name)
        set_source(model, name=name, weights="camvid" if weights else None)
        return model

    monkeypatch.setattr(zoo.models.loading, "load", load)
    return calls


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_export_then_verify(tmp_path, photo, loads, capsys):
    path = tmp_path / "m.tflite"
    options = ("--format", "tflite", "--input-size", "24x32", "--images", photo, "--output", path)
    assert run("export", "small", *options) == 0
    printed = capsys.readouterr()
    assert "arg-max agreement 100.0000% of 768 pixels" in printed.out
    assert "image (1, 24, 32, 3) float32" in printed.out
    assert "loading small" in printed.err
    assert run("verify", path, "--images", photo) == 0
    assert capsys.readouterr().out.startswith("equal: max logit error")
    assert loads == [("small", "default", None), ("small", "camvid", None)]


def test_verify_exits_1_when_they_differ(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    run("export", "small", "--format", "onnx", "--output", path)
    capsys.readouterr()
    assert run("verify", path, "--weights", "other") == 1
    assert capsys.readouterr().out.startswith("differs: max logit error")
    assert run("verify", path, "--weights", "other", "--json", "-") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["passed"] is False
    assert printed["weights"] == "other"


def test_verify_names_the_layer_that_differs(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    run("export", "small", "--format", "onnx", "--output", path)
    capsys.readouterr()
    run("verify", path, "--weights", "other")
    assert "\nfirst differs in layer '" in capsys.readouterr().out
    run("verify", path, "--weights", "other", "--json", "-")
    found = json.loads(capsys.readouterr().out)["first_difference"]
    assert "classifier" in [found["layer"], *found["merged"]]
    assert found["max_error"] > found["limit"]


def test_verify_on_a_folder_of_images_and_on_a_data_set(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, values in (("images", (40, 60, 3)), ("masks", (40, 60))):
        (tmp_path / name).mkdir()
        for index in range(2):
            pixels = rng.integers(0, 2 if name == "masks" else 256, values, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    (tmp_path / "names.txt").write_text("road\nsky\n")
    path = tmp_path / "m.tflite"
    run("export", "small", "--format", "tflite", "--input-size", "24x32", "--output", path)
    capsys.readouterr()
    data = ("--dataset", "folder", "--data", tmp_path, "--split", "all", "--classes", tmp_path / "names.txt")
    assert run("verify", path, "--images", tmp_path / "images", *data) == 0
    printed = capsys.readouterr().out
    assert f"of {2 * 24 * 32} pixels" in printed
    assert "all 40x60 single-scale tile 24x32: " in printed
    assert "change +0.00 points" in printed
    assert run("verify", path, "--images", tmp_path / "images", *data, "--json", "-") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["first_difference"] is None
    assert 0 < printed["border_pixels"] <= printed["pixels"] == 2 * 24 * 32
    scores = printed["evaluation"]
    assert 0.1 < scores["model_mean_iou"] == pytest.approx(scores["artifact_mean_iou"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "x"), "--data is for a data set: name its layout with --dataset"),
        (("--split", "val"), "--split is for a data set"),
        (("--masks", "x"), "--masks is for a data set"),
        (("--dataset", "folder"), "give its folder with --data"),
        (("--images", "absent"), "no such file or folder"),
    ],
)
def test_verify_refuses_options_before_it_loads_a_model(options, message, tmp_path, loads):
    path = tmp_path / "m.onnx"
    run("export", "small", "--format", "onnx", "--output", path)
    del loads[:]
    with pytest.raises(InputError, match=message):
        run("verify", path, *options)
    assert loads == []


def test_export_prints_json(tmp_path, capsys):
    path = tmp_path / "m"
    assert (
        run("export", "small", "--format", "saved_model", "--classes", 2, "--output", path, "--json", "-")
        == 0
    )
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "m.json").read_text())


def test_json_to_a_file_leaves_the_text(tmp_path, capsys):
    path, report, verdict = (tmp_path / name for name in ("m.onnx", "report.json", "verdict.json"))
    assert run("export", "small", "--format", "onnx", "--output", path, "--json", report) == 0
    assert "arg-max agreement" in capsys.readouterr().out
    assert json.loads(report.read_text()) == json.loads((tmp_path / "m.onnx.json").read_text())
    assert run("verify", path, "--json", verdict) == 0
    assert capsys.readouterr().out.startswith("equal: ")
    assert json.loads(verdict.read_text())["passed"] is True


def test_shapes_that_differ_are_told_as_json(tmp_path, monkeypatch, capsys):
    path = tmp_path / "m.onnx"
    run("export", "small", "--format", "onnx", "--output", path)
    capsys.readouterr()

    def differ(*arguments, **options):
        raise ParityError("other shapes")

    monkeypatch.setattr("zoo.export.verify", differ)
    assert run("verify", path, "--json", "-") == 1
    assert json.loads(capsys.readouterr().out) == {"passed": False, "error": "other shapes"}


def test_names_of_a_fresh_classifier(tmp_path, loads):
    (tmp_path / "names.txt").write_text("road\nsky\nwater\n")
    options = ("--format", "onnx", "--classes", tmp_path / "names.txt", "--output", tmp_path / "m.onnx")
    run("export", "small", *options)
    assert [labels.names for _, _, labels in loads] == [("road", "sky", "water")]


@pytest.mark.parametrize(
    ("classes", "message"),
    [("absent.txt", "absent.txt: no such file"), ("0", "2 to 255 classes"), ("256", "not 256")],
)
def test_classes_that_are_none(classes, message, tmp_path, loads):
    with pytest.raises(InputError, match=message):
        run("export", "small", "--format", "onnx", "--classes", classes, "--output", tmp_path / "m.onnx")
    assert loads == []


def test_images_of_a_folder_and_a_file_count_together(tmp_path, photo, capsys):
    (tmp_path / "more").mkdir()
    for name in "ab":
        (tmp_path / "more" / f"{name}.png").write_bytes(photo.read_bytes())
    options = ("--images", tmp_path / "more", "--images", photo, "--output", tmp_path / "m.tflite")
    assert run("export", "small", "--format", "tflite", "--input-size", "24x32", *options) == 0
    assert f"of {3 * 24 * 32} pixels" in capsys.readouterr().out


def test_onnx_options(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    options = ("--opset", 17, "--layout", "nchw", "--head", "small_logits", "--input-size", "24x32")
    assert run("export", "small", "--format", "onnx", *options, "--output", path, "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["opset"] == 17
    assert report["inputs"][0]["shape"] == [1, 3, 24, 32]
    assert report["head"] == "small_logits"


def test_rewrites_can_be_left_out(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    arguments = ("export", "small", "--format", "onnx", "--input-size", "2x2", "--output", path)

    def enabled(*options):
        assert run(*arguments, *options, "--json", "-") == 0
        return {entry["name"]: entry["enabled"] for entry in json.loads(capsys.readouterr().out)["rewrites"]}

    assert enabled() == {name: name not in AGAINST_PADDING for name in REWRITES}
    two = ("--no-rewrite", "drop_dead_taps", "--no-rewrite", "fold_batch_norm")
    left_out = ["fold_batch_norm", "drop_dead_taps", *AGAINST_PADDING]
    assert [name for name, on in enabled(*two).items() if not on] == left_out
    assert enabled("--no-rewrite", "all") == dict.fromkeys(REWRITES, False)
    assert run(*arguments) == 0  # at rate 2, a map of 2x2 is seen by the centre alone
    assert "drop_dead_taps 1 (8 taps, 48 parameters, 192 multiply-adds)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(*arguments, "--no-rewrite", "taps")
    assert "invalid choice: 'taps'" in capsys.readouterr().err


def test_verify_needs_weights_that_can_be_loaded_again(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    run("export", "small", "--format", "onnx", "--weights", "none", "--output", path)
    with pytest.raises(InputError, match="does not name the weights of small: pass --weights"):
        run("verify", path)


@pytest.mark.parametrize("size", ["0x5", "5x0", "axb", "-5x5", "5x5x3", "", "0"])
def test_bad_size(size, tmp_path, loads, capsys):
    with pytest.raises(SystemExit) as ended:
        run("export", "small", "--format", "onnx", f"--input-size={size}", "--output", tmp_path / "m.onnx")
    assert ended.value.code == 2 and loads == []
    assert f"--input-size: must be HEIGHTxWIDTH in pixels, such as 360x480, not {size!r}" in (
        capsys.readouterr().err
    )


def test_one_number_is_both_sides(tmp_path, capsys):
    options = ("--format", "onnx", "--input-size", 24, "--output", tmp_path / "m.onnx", "--json", "-")
    assert run("export", "small", *options) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][0]["shape"] == [1, 24, 24, 3]


def test_bad_arguments_fail_before_anything_is_loaded(tmp_path, loads):
    cases = [
        (("--format", "onnx", "--output", tmp_path / "m.tflite"), r"must be named \*\.onnx"),
        (
            ("--format", "tflite", "--input-size", 33, "--opset", 18, "--output", tmp_path / "m.tflite"),
            "--opset is for",
        ),
        (("--format", "tflite", "--output", tmp_path / "m.tflite"), "say it with --input-size HxW"),
        (("--format", "onnx", "--output", tmp_path / "m.onnx", "--images", "absent.jpg"), "absent.jpg"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            run("export", "small", *options)
    assert loads == []


@pytest.mark.parametrize("command", ["export", "verify"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(command, "--help")
    assert stopped.value.code == 0
    assert re.search(rf"examples?:\n  zoo {command} ", capsys.readouterr().out)
