"""``--set``: another setting of the builder than the weights' own, in every command that loads a model."""

import pytest
from support.drawn_images import draw_squares

from zoo.cli import main
from zoo.errors import InputError

MODEL = "deeplabv3_plus"


@pytest.mark.parametrize(
    "words",
    [
        "segment {model} {image} --output {out}",
        "evaluate {model} --dataset folder --data {data} --classes 2",
        "export {model} --format onnx --output {out}/m.onnx",
        "train {model} --dataset folder --data {data} --classes 2 --output {out} --batch-size 2",
    ],
)
def test_it_reaches_the_builder(words, tmp_path, monkeypatch, capsys):
    def load(name, weights, *, settings, **_):
        raise InputError(f"{name} with {settings}")

    monkeypatch.setattr("zoo.models.loading.load", load)
    data = draw_squares(tmp_path / "data")
    image = next(path for path in data.rglob("*.png"))
    given = words.format(model=MODEL, image=image, data=data, out=tmp_path)
    assert main([*given.split(), "--set", "enlarge=1", "--set", "decoder_channels=64"]) == 2
    assert f"{MODEL} with {{'enlarge': 1, 'decoder_channels': 64}}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["m.tflite", "m.onnx"])
def test_a_file_keeps_its_own(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"never read")
    data = draw_squares(tmp_path / "data")
    words = ["segment", str(tmp_path / name), str(next(data.rglob("*.png"))), "--output", str(tmp_path)]
    assert main([*words, "--set", "enlarge=1"]) == 2
    assert "is an artifact with settings of its own: --set cannot change them" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["wavenet_digits", "bytenet_g2p"])
def test_files_of_sequences_have_none(model, tmp_path, capsys):
    words = ["export", model, "--format", "onnx", "--output", str(tmp_path / "m.onnx")]
    assert main([*words, "--set", "layers=3"]) == 2
    assert "--set is for" in capsys.readouterr().err
