"""`--folds` of `zoo train` and `zoo evaluate`, on a folder of drawn images."""

import json

import keras
import pytest
from support.drawn_images import draw_squares

from zoo import cli
from zoo.datasets import open_dataset
from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D
from zoo.models.blocks import Norm
from zoo.models.heads.classifier import outputs

TWO = LabelSet("two", ("ground", "square"), ((0, 0, 0), (9, 9, 9)), 255)
SIZES = (9, 4)  # of the two drives, in the training part


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten images of drive a and six of b, some of them for validation; a small model for the registry's."""
    drawn = draw_squares(tmp_path / "data", count=16)
    (drawn / "names.txt").write_text("ground\nsquare\n")
    for kind in ("images", "masks"):
        for number, path in enumerate(sorted((drawn / kind).iterdir())):
            path.rename(path.with_name(f"{'a' if number < 10 else 'b'}_{number:03d}.png"))

    def load(name, weights="default", *, classes=None, **options):
        if weights is not None and str(weights).endswith(".keras"):
            return keras.saving.load_model(weights)
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
        x = DilatedConv2D(8, kernel_size=3, use_bias=True, name="backbone.stem.conv")(x)
        x = keras.layers.ReLU(name="backbone.stem.relu")(x)
        ends = {"label_set": classes or TWO, "convention": "half_pixel", "norm": Norm(1e-3)}
        return keras.Model(image, outputs(x, image, **ends), name="small")

    monkeypatch.setattr("zoo.models.loading.load", load)
    return tmp_path


def data_of(folder):
    names = folder / "data" / "names.txt"
    return ["--dataset", "folder", "--data", str(folder / "data"), "--classes", str(names)]


def train(folder, *more):
    recipe = ["--epochs", "8", "--learning-rate", "0.05", "--batch-size", "2", "--crop", "32x32"]
    places = ["--output", str(folder / "run"), "--weights", "none", "--folds", "drives"]
    return cli.main(["train", "small", *data_of(folder), *places, *recipe, *more])


def column(out, row):
    return next(line for line in out.splitlines() if line.startswith(row))[len("pixel accuracy") :].split()


def test_trains_without_each_drive_and_scores_both_sides(folder, capsys):
    assert train(folder) == 0
    out, err = capsys.readouterr()
    assert "without a:" in err and "without b:" in err
    a, b = map(int, column(out, "images"))
    assert (a, b) == SIZES
    # Of the other drive's images, in batches of two.
    assert f"finished at step {8 * (b // 2)}" in out and f"finished at step {8 * (a // 2)}" in out
    held, on = column(out, "mean IoU"), column(out, "on training")
    assert len(held) == len(on) == 3 and float(held[1]) > 60
    assert float(held[2]) == pytest.approx((float(held[0]) + float(held[1])) / 2, abs=0.011)
    beside = out.splitlines()[-1]
    assert beside.startswith("on val, without a ") and ", b " in beside
    assert sorted(p.name for p in (folder / "run").iterdir()) == ["a", "b"]

    evaluate = ["evaluate", "small", *data_of(folder), "--split", "train", "--folds", "drives"]
    weights = ["--weights", str(folder / "run" / "{fold}" / "final.keras")]
    assert cli.main([*evaluate, *weights, "--json", str(folder / "scores.json")]) == 0
    again = capsys.readouterr().out
    assert column(again, "mean IoU") == held and column(again, "on training") == on
    found = json.loads((folder / "scores.json").read_text())
    assert [fold["name"] for fold in found["folds"]] == ["a", "b"]
    assert 100 * found["mean_iou"] == pytest.approx(float(held[2]), abs=0.006)
    assert found["folds"][0]["training"]["mean_iou"] > 0


def test_one_model_has_no_training_side(folder, capsys):
    command = ["evaluate", "small", *data_of(folder), "--split", "train", "--folds", "(.)_"]
    assert cli.main([*command, "--weights", "none", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [len(fold["held_out"]["images"]) for fold in found["folds"]] == [*SIZES]
    assert all(fold["training"] is None for fold in found["folds"])


def test_a_damaged_file_of_the_part_that_is_held_out(folder, capsys):
    pairs = open_dataset("folder", folder / "data", split="train", classes=2).pairs
    image = next(image for image, _ in pairs if image.name.startswith("b_"))
    image.write_bytes(image.read_bytes()[:-90])
    assert train(folder, "--epochs", "1", "--skip-damaged") == 0
    out, err = capsys.readouterr()
    assert err.count("left out: ") == 1 and image.name in err
    assert sum(map(int, column(out, "images"))) == sum(SIZES) - 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--folds", "(data/[ab])"), "do not match"),
        (("--folds", "stretches:9"), "'b' has 4 images only"),
        (("--folds", "drives", "--output", "o"), "--output is for a whole data set"),
    ],
)
def test_bad_folds_are_one_line(folder, capsys, more, message):
    command = ["evaluate", "small", *data_of(folder), "--split", "train", "--weights", "none", *more]
    assert cli.main(command) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1
