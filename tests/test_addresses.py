"""Addresses of stores and servers are refused wherever a path is read or written; nothing is made of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.training_fixtures import make_batches, tiny_model

import zoo
from zoo import dilation, export
from zoo.cli import main
from zoo.datasets import check, open_dataset
from zoo.datasets.listing import read_lines
from zoo.errors import InputError
from zoo.files import check_local, write_text
from zoo.images import find_images, read_image, read_mask, write_png
from zoo.training import Recipe, Settings, fit, losses

ADDRESSES = ["gs://bucket/run", "s3://bucket/run", "hdfs://host/run", "https://host/run", "file:///tmp/run"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder that must stay empty."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_no_path(address):
    with pytest.raises(InputError, match=r"addresses are not read or written here"):
        check_local(address)


@pytest.mark.parametrize("path", ["C:/run", "C:\\run", "run:1/x", "a/gs:/b", "./gs:/x", "note: this"])
def test_paths_with_colons_are_paths(path):
    assert str(check_local(path)) == str(Path(path))


def _fit(path):
    settings = Settings(steps=1, epoch_steps=1, ignore_label=255)
    return fit(
        tiny_model(),
        make_batches(),
        loss=losses.SparseCrossEntropy(ignore_label=255),
        settings=settings,
        output=path,
    )


USES = {
    "fit": _fit,
    "write_text": lambda path: write_text(path, "x"),
    "write_png": lambda path: write_png(f"{path}.png", np.zeros((2, 2), np.uint8)),
    "read_image": lambda path: read_image(f"{path}.png"),
    "read_mask": lambda path: read_mask(f"{path}.png"),
    "find_images": lambda path: find_images([f"{path}/*.png"]),
    "open_dataset": lambda path: open_dataset("camvid", path),
    "class file": lambda path: read_lines(Path(f"{path}.txt")),
    "check": lambda path: check(path),
    "recipe": lambda path: Recipe().save(f"{path}.json"),
    "read recipe": lambda path: Recipe.read(f"{path}.json"),
    "load": lambda path: zoo.load("deeplabv3_aspp", f"{path}.npz"),
    "artifact": lambda path: export.open_artifact(f"{path}.tflite"),
    "export": lambda path: export.to_tflite(tiny_model(), f"{path}.tflite", input_size=(16, 16)),
    "plot": lambda path: dilation.plot([1, 2], kernel=3, path=f"{path}.png"),
}


@pytest.mark.parametrize("use", USES)
def test_functions_refuse_them(use):
    with pytest.raises(InputError, match=r"gs: addresses are not read or written here"):
        USES[use]("gs://bucket/run")


@pytest.mark.parametrize(
    "words",
    [
        "train deeplabv3_aspp --dataset camvid --data . --output gs://bucket/run",
        "train deeplabv3_aspp --dataset camvid --data s3://bucket/camvid --output run",
        "evaluate deeplabv3_aspp --dataset camvid --data s3://bucket/camvid",
        "evaluate deeplabv3_aspp --dataset camvid --data . --output s3://bucket/scores",
        "dataset check gs://bucket/data",
        "segment deeplabv3_aspp gs://bucket/a.jpg --output out",
        "dilation plot 1 2 --output s3://bucket/a.png",
    ],
)
def test_commands_refuse_them(words, capsys):
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert "addresses are not read or written here" in error
    assert error.startswith("zoo: error:") and error.count("\n") == 1
    assert re.search(r"(gs|s3)://bucket/", error)
