"""`zoo compress` on a folder of images that the test draws."""

import json
import shutil

import keras
import pytest
from support.compression_fixtures import NORM
from support.drawn_images import draw_squares

from zoo import cli
from zoo.datasets import open_dataset
from zoo.labels import named
from zoo.layers.preprocessing import Normalize
from zoo.models.blocks import conv_bn_act
from zoo.models.heads.classifier import classify
from zoo.training.losses import SparseCrossEntropy


def small(names=("ground", "square")) -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=(60.0,) * 3, scale=(60.0,) * 3, name="normalize")(image)
    x = conv_bn_act(x, 8, 3, norm=NORM, name="backbone.stem")
    x = conv_bn_act(x, 8, 3, rate=2, norm=NORM, name="backbone.last")
    return keras.Model(
        image, classify(x, image, label_set=named(names), convention="half_pixel"), name="small"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    drawn = draw_squares(folder / "data")
    (drawn / "names.txt").write_text("ground\nsquare\n")
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """Trained for a moment, so that compression has something to keep."""
    model = small()
    data = open_dataset("folder", folder / "data", split="train", classes=str(folder / "data" / "names.txt"))
    model.compile(keras.optimizers.Adam(0.02), SparseCrossEntropy(ignore_label=255))
    model.fit(data.as_tf(batch_size=2, crop=(32, 32), repeat=None), steps_per_epoch=40, verbose=0)
    return model


@pytest.fixture
def run(folder, trained, monkeypatch):
    """The command on that model; (status, calls)."""

    def load(name, weights="default", **options):
        assert name == "small"
        copy = keras.models.clone_model(trained)
        copy.set_weights(trained.get_weights())
        return copy

    monkeypatch.setattr("zoo.models.loading.load", load)

    def run(*more, output):
        words = ["compress", "small", "--dataset", "folder", "--data", folder / "data", "--output", output]
        words += ["--classes", folder / "data" / "names.txt", "--batch-size", 2, "--crop", "32x32", *more]
        try:
            return cli.main([str(word) for word in words])
        except SystemExit as ended:  # words that argparse cannot parse
            return ended.code

    return run


def test_prune_writes_files_and_a_table(run, folder, tmp_path, capsys):
    options = ("--method", "prune", "--sparsity", 0.5, "--epochs", 3, "--learning-rate", 0.005)
    assert run(*options, output=tmp_path) == 0
    out, err = capsys.readouterr()
    rows = {line[:18].strip(): line.split() for line in out.splitlines()}
    assert rows["zeros in kernels"][-2:] == ["0.0%", rows["zeros in kernels"][-1]]
    assert float(rows["mIoU"][2]) > 80
    assert [line.split(",")[0] for line in err.splitlines() if line.startswith("step")] == [
        "step 3",
        "step 6",
        "step 9",
    ]
    written = json.loads((tmp_path / "compression.json").read_text())
    last = next(row for row in written["layers"] if row["layer"] == "backbone.last.conv")
    assert last["sparsity"] == 0.5 and last["selected"]
    after = written["after"]
    for name in ("keras", "tflite"):
        assert (tmp_path / f"model.{name}").stat().st_size == after[f"{name}_bytes"]
        assert 0 < after[f"{name}_gzip_bytes"] < after[f"{name}_bytes"]
        assert after[f"{name}_gzip_bytes"] < written["before"][f"{name}_gzip_bytes"]
    assert after["latency_ms"] > 0
    assert (tmp_path / "model.tflite.json").is_file() and not list(tmp_path.glob(".before*"))
    # Again: nothing is left to train, and the figures are the same.
    assert run(*options, "--json", "-", output=tmp_path) == 0
    out, err = capsys.readouterr()
    assert "step" not in err
    again = json.loads(out)
    # But for time, and the date that Keras writes into its file.
    varying = {"latency_ms": 0, "keras_gzip_bytes": 0}
    assert again["after"] | varying == after | varying
    # Other settings need another folder.
    assert run("--method", "prune", "--sparsity", 0.75, "--epochs", 3, output=tmp_path) == 2
    assert "holds a run with another learning_rate, sparsity" in capsys.readouterr().err


def test_qat_with_a_teacher_writes_an_integer_file(run, tmp_path, capsys):
    options = ("--method", "qat", "--epochs", 1, "--teacher", "small", "--learning-rate", 0.001)
    assert run(*options, "--json", "-", output=tmp_path) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["float_layers"] == {}
    assert written["parity"]["argmax_agreement"] >= 0.99
    assert written["after"]["mean_iou"] > 0.8
    report = json.loads((tmp_path / "model.tflite.json").read_text())
    assert report["inputs"][0]["dtype"] == "uint8" and report["quantization"]["float_operations"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "qat", "--sparsity", "0.5"), "--sparsity belongs to --method prune"),
        (("--method", "prune", "--clusters", "8"), "--clusters belongs to --method cluster"),
        (("--method", "qat", "--layers", "aspp"), "--layers belongs to"),
        (("--method", "prune", "--pattern", "2:5"), "pattern must be one of"),
        (("--method", "prune", "--layers", "head"), "no convolution to compress at 'head'"),
        (("--method", "cluster", "--preserve-sparsity", "--clusters", "4"), "no zeros to preserve"),
        (("--method", "prune", "--accumulate", "2"), "without accumulate"),
        (("--method", "prune", "--strategy", "mirrored"), "one device"),
        (("--method", "prune", "--input-size", "big"), "big"),
        (("--method", "prune", "--block", "4"), "--block: must be ROWSxCOLUMNS, such as 1x4, not '4'"),
        (("--method", "prune", "--block", "0x4"), "--block: must be ROWSxCOLUMNS"),
        (("--method", "prune", "--weights", "none"), "starts from trained weights"),
        (("--method", "qat", "--teacher", "small", "--teacher-weights", "none"), "teacher has been trained"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, capsys, options, message):
    assert run(*options, output=tmp_path / "run") == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not (tmp_path / "run" / "model.keras").exists()


def test_damaged_files_are_left_out_and_large_images_seen_through_windows(run, folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(folder / "data", data)
    parts = {s: open_dataset("folder", data, split=s, classes=2).pairs for s in ("train", "val")}
    damaged = [pairs[0][0] for pairs in parts.values()]
    for image in damaged:
        image.write_bytes(image.read_bytes()[:-90])
    options = ("--method", "prune", "--epochs", 1, "--data", data)
    assert run(*options, output=tmp_path / "a") == 2
    assert "damaged image" in capsys.readouterr().err
    assert run(*options, "--skip-damaged", "--tile", "32x32", "--json", "-", output=tmp_path / "a") == 0
    out, err = capsys.readouterr()
    left_out = [line for line in err.splitlines() if "left out" in line]
    assert len(left_out) == 2 and all(str(path) in line for path, line in zip(damaged, left_out, strict=True))
    assert 0 < json.loads(out)["after"]["mean_iou"] <= 1


def test_classes_must_be_those_of_the_data(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("zoo.models.loading.load", lambda *args, **options: small(("square", "ground")))
    assert run("--method", "prune", output=tmp_path / "run") == 2
    assert "another order" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as status:
        cli.main(["compress", "--help"])
    assert status.value.code == 0
    assert "zoo compress deeplabv3_aspp --method prune" in capsys.readouterr().out
