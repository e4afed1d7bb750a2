"""Options that say how files are read, and how training ends, on the command line."""

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import cli
from zoo.cli.reading import parse_mapping
from zoo.layers import DilatedConv2D
from zoo.models.blocks import Norm
from zoo.models.heads.classifier import outputs


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Six images whose masks hold 0 and 255, and a small model in place of the registry's."""

    def load(name, weights="default", *, classes=None, **options):
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
        x = DilatedConv2D(4, kernel_size=3, use_bias=True, name="backbone.stem.conv")(x)
        ends = {"label_set": classes, "convention": "half_pixel", "norm": Norm(1e-3)}
        return keras.Model(image, outputs(x, image, auxiliary=None, **ends), name="small")

    monkeypatch.setattr("zoo.models.loading.load", load)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for index in range(6):
        square = np.zeros((24, 24), np.uint8)
        square[4:12, 6:20] = 255
        pixels = random.integers(0, 100, (24, 24, 3), dtype=np.uint8) + (square // 2)[..., np.newaxis]
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / "images" / f"{index}.jpg")
        Image.fromarray(square).save(tmp_path / "data" / "masks" / f"{index}.png")
    return tmp_path


def train(folder, *more):
    words = ["train", "small", "--dataset", "folder", "--data", folder / "data", "--output", folder / "run"]
    words += ["--batch-size", 2, "--crop", "16x16", "--epochs", 1, *more]
    return cli.main([str(word) for word in words])


def one_line(capsys) -> str:
    error = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("epoch")]
    assert len(error) == 1 and error[0].startswith("zoo: error: ")
    return error[0]


def test_masks_of_0_and_255(data, capsys):
    assert train(data, "--classes", 2) == 2
    assert "hold 0 and 255 only" in one_line(capsys)
    assert not (data / "run" / "best.keras").exists()
    assert train(data, "--binary") == 0
    out, _ = capsys.readouterr()
    assert out.split("best mIoU")[1].split(": ")[1].strip() == str(data / "run" / "best.keras")
    assert (data / "run" / "best.keras").is_file()
    assert cli.main(["dataset", "check", str(data / "data"), "--classes", "2", "--map", "255=1"]) == 0
    assert cli.main(["dataset", "check", str(data / "data"), "--classes", "2"]) == 1


def test_the_same_folder_with_other_names_is_refused(data, capsys):
    names = data / "names.txt"
    names.write_text("ground\nsquare\n")
    assert train(data, "--binary", "--classes", names) == 0
    names.write_text("square\nground\n")
    capsys.readouterr()
    assert train(data, "--binary", "--classes", names) == 2
    line = one_line(capsys)
    assert "was ['ground', 'square'], now is ['square', 'ground']" in line


def test_a_damaged_photo_is_one_line_and_can_be_skipped(data, capsys):
    photo = data / "data" / "images" / "2.jpg"
    photo.write_bytes(photo.read_bytes()[:-80])
    assert train(data, "--binary", "--split", "all", "--validation", "none") == 2
    assert "2.jpg: damaged image" in one_line(capsys)
    assert train(data, "--binary", "--split", "all", "--validation", "none", "--skip-damaged") == 0
    assert "zoo: note: left out: " in capsys.readouterr().err


def test_validation_through_windows(data, capsys):
    assert train(data, "--binary", "--tile", "16x16") == 0
    assert "best mIoU" in capsys.readouterr().out


def test_small_batches_are_said_once(data, capsys):
    assert train(data, "--binary", "--batch-statistics", "sometimes") == 2
    assert "one of auto, always, never" in one_line(capsys)


def test_one_class_is_refused_at_opening(data, capsys):
    assert train(data, "--classes", 1) == 2
    assert "background and your class" in one_line(capsys)


@pytest.mark.parametrize(
    ("text", "found"), [("255=1", (255, 1)), ("7=road sign", (7, "road sign")), ("0=ignore", (0, "ignore"))]
)
def test_mapping(text, found):
    assert parse_mapping(text) == found


@pytest.mark.parametrize("text", ["255", "a=1", "=1", "3=", "-1=2"])
def test_no_mapping(text, data, capsys):
    with pytest.raises(SystemExit):
        train(data, f"--map={text}")
    assert "must be VALUE=CLASS" in capsys.readouterr().err


def test_dilation_status_follows_the_exact_count(capsys):
    assert cli.main(["dilation", "check", "24", "1"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("24-1 with kernel 3: fail\n")
    assert "rule             pass" in out
    assert cli.main(["dilation", "check", "1", "2", "5"]) == 0
    assert "rule             pass" in capsys.readouterr().out
    assert cli.main(["dilation", "check", "2", "5", "9", "1", "5", "9", "17"]) == 1
    assert "rule             fail" in capsys.readouterr().out


def test_segment_asks_about_a_fourth_band(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 140, (40, 40, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    words = ["segment", "deeplabv3_aspp", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    assert cli.main(words) == 2
    assert "--alpha ignore drops it" in capsys.readouterr().err
    assert cli.main([*words, "--alpha", "ignore"]) == 0
    assert (tmp_path / "out" / "a_mask.png").is_file()


def test_segment_names_the_classes_of_a_file_without_names(tmp_path, capsys):
    names = [f"thing {index}" for index in range(3)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    Image.fromarray(np.full((33, 33, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    settings = {"width": 0.25, "aspp_channels": 8}
    model = zoo.load("deeplabv3_aspp", weights=None, classes=3, settings=settings)
    model.save(tmp_path / "m.keras")
    words = ["segment", "deeplabv3_aspp", str(tmp_path / "photo.png"), "--weights", str(tmp_path / "m.keras")]
    words += ["--output", str(tmp_path / "out"), "--classes"]
    assert cli.main([*words, str(tmp_path / "names.txt")]) == 0
    assert "thing " in capsys.readouterr().out
    assert cli.main([*words, "4"]) == 2
    assert "keeps the classifier of 3 classes" in capsys.readouterr().err


def test_calibration_with_a_folder_without_names_says_what_export_can_do(data, tmp_path, capsys):
    words = [
        "export",
        "deeplabv3_aspp",
        "--format",
        "tflite",
        "--output",
        str(tmp_path / "m.tflite"),
        "--quantize",
        "int8",
    ]
    words += ["--input-size", "33", "--dataset", "folder", "--calibration", str(data / "data")]
    assert cli.main(words) == 2
    line = one_line(capsys)
    assert "write their names into classes.txt there, or leave out --dataset" in line
