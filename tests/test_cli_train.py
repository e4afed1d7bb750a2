"""`zoo train` on a folder of images that the test draws."""

import keras
import numpy as np
import pytest
from PIL import Image

from zoo import cli
from zoo.heads.classifier import classify
from zoo.layers import DilatedConv2D
from zoo.resize import label_set_of


def draw(folder, count=8, size=40):
    """Bright squares on dark noise; the mask is 1 on the square and ignored along the top row."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index in range(count):
        image = rng.integers(0, 90, (size, size, 3)).astype(np.uint8)
        mask = np.zeros((size, size), np.uint8)
        top, left = rng.integers(4, size // 2, 2)
        image[top : top + 16, left : left + 16] += 150
        mask[top : top + 16, left : left + 16] = 1
        mask[0] = 255
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    (folder / "names.txt").write_text("ground\nsquare\n")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The data, and a small model in place of the registry's."""
    draw(tmp_path / "data")
    calls = []

    def load(name, weights="default", *, classes=None, **options):
        calls.append((name, weights, options))
        keras.utils.set_random_seed(1)
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
        x = DilatedConv2D(8, kernel_size=3, rate=2, use_bias=True, name="backbone.stem.conv")(x)
        x = keras.layers.ReLU(name="backbone.stem.relu")(x)
        logits = classify(x, image, label_set=classes, convention="half_pixel")
        return keras.Model(image, logits, name="small")

    monkeypatch.setattr("zoo.loading.load", load)
    return tmp_path, calls


def command(folder, *more):
    words = ["train", "small", "--dataset", "folder", "--data", folder / "data", "--output", folder / "run"]
    words += ["--classes", folder / "data" / "names.txt", "--batch-size", 2, "--crop", "32x32", *more]
    return [str(word) for word in words]


def test_trains_scores_and_goes_on(data, capsys):
    folder, calls = data
    options = ("--epochs", 6, "--learning-rate", "0.02", "--balance", "--weights", "none")
    assert cli.main(command(folder, *options)) == 0
    assert calls == [("small", None, {"allow_unverified": False})]
    out = capsys.readouterr().out
    assert "finished at step 18; best mIoU" in out
    assert float(out.split("best mIoU ")[1].split()[0]) > 80
    best = keras.models.load_model(folder / "run" / "best.keras", compile=False)
    assert label_set_of(best).names == ("ground", "square")
    assert (folder / "run" / "final.keras").is_file()
    # The run is complete: the same command does no further step.
    assert cli.main(command(folder, *options)) == 0
    assert "finished at step 18" in capsys.readouterr().out


def test_without_validation_the_last_model_is_kept(data, capsys):
    folder, _ = data
    assert cli.main(command(folder, "--epochs", 1, "--validation", "none")) == 0
    assert "best" not in capsys.readouterr().out
    assert (folder / "run" / "final.keras").is_file()
    assert not (folder / "run" / "best.keras").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        (("--batch-size", 99), "a batch no larger than the data"),
        (("--epochs", 0), "1 or more"),
        (("--strategy", "magic"), "magic"),
        (("--precision", "int4"), "int4"),
        (("--learning-rate", "-1"), "learning_rate"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(data, capsys, more, message):
    folder, _ = data
    assert cli.main(command(folder, *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("zoo: error:") == 1
    assert not (folder / "run" / "checkpoints").exists()
