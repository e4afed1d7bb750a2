"""Amplifiers with smaller numbers: how far they may stray, and what is refused."""

import json

import numpy as np
import pytest
import soundfile
from goldens.nam_documents import documents, sound
from support.nam_files import write_nam

import zoo
from zoo import cli, export
from zoo.errors import InputError, ParityError
from zoo.sequence import process


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nam")
    return zoo.load("wavenet_nam", write_nam(folder / "a.nam", documents()["two_arrays"]))


@pytest.fixture(scope="module")
def playing():
    return 0.5 * sound(30_000)


@pytest.mark.parametrize(
    ("kind", "type", "words"), [("float16", "float16", {}), ("int16x8", "int8", {"calibration": True})]
)
def test_a_file_sounds_as_its_model(kind, type, words, model, playing, tmp_path):
    given = {"calibration": playing} if words else {}
    path = tmp_path / "a.tflite"
    report = export.to_blocks(model, path, block=48, quantize=kind, **given)
    artifact = export.open_blocks(path)
    assert artifact.weights()[type] > 100
    expected = process(model, playing)
    # More than 600 blocks: the state has been rounded often enough for a drift to show.
    error = process(artifact, playing) - expected
    halves = zip(np.split(error, 2), np.split(expected, 2), strict=True)
    assert 0 < max(np.square(e).sum() / np.square(x).sum() for e, x in halves) < 0.01
    assert report.quantize == kind
    assert 0 < report.esr < 0.01
    assert json.loads((tmp_path / "a.tflite.json").read_text())["quantize"] == kind


def test_the_same_model_gives_the_same_bytes_in_integers(model, playing, tmp_path):
    for name in ("a", "b"):
        export.to_blocks(
            model, tmp_path / f"{name}.tflite", block=48, quantize="int16x8", calibration=playing
        )
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_what_ruins_the_sound_is_not_kept(model, playing, tmp_path, monkeypatch):
    from zoo.export.blocks import quantizing

    monkeypatch.setattr(quantizing, "MAX_ESR", 1e-12)
    with pytest.raises(ParityError, match="int16x8 changes the sound by an ESR of"):
        export.to_blocks(model, tmp_path / "a.tflite", block=48, quantize="int16x8", calibration=playing)
    assert not list(tmp_path.iterdir())


def test_what_quantizes_nothing_is_not_kept(model, tmp_path):
    """Kernels of fewer than 1,024 numbers are left as they are."""
    with pytest.raises(ParityError, match=r"a\.tflite: dynamic quantized nothing"):
        export.to_blocks(model, tmp_path / "a.tflite", block=48, quantize="dynamic")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("suffix", "words", "message"),
    [
        (".tflite", {"quantize": "int4"}, "float16, dynamic, int8, int16x8, not 'int4'"),
        (".onnx", {"quantize": "float16"}, r"in \.tflite files, not in \.onnx"),
        (".tflite", {"quantize": "int16x8"}, "needs calibration"),
        (".tflite", {"quantize": "int16x8", "calibration": 99}, "calibration needs 0.5 s of sound, not 0.00"),
        (".tflite", {"quantize": "float16", "calibration": 30_000}, "float16 takes no calibration"),
        (".tflite", {"calibration": 30_000}, "calibration is for a quantized file"),
    ],
)
def test_refusals(suffix, words, message, model, playing, tmp_path):
    given = dict(words)
    if "calibration" in given:
        given["calibration"] = playing[: given["calibration"]]
    with pytest.raises(InputError, match=message):
        export.to_blocks(model, tmp_path / f"a{suffix}", block=48, **given)
    assert not list(tmp_path.iterdir())


def test_command_line_in_integers(playing, tmp_path, capsys):
    path = write_nam(tmp_path / "a.nam", documents()["two_arrays"])
    soundfile.write(tmp_path / "di.wav", playing, 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "cd.wav", playing, 44100, subtype="FLOAT")
    words = ["export", "wavenet_nam", "--weights", str(path), "--format", "tflite", "--quantize", "int16x8"]
    words += ["--output", str(tmp_path / "a.tflite"), "--calibration"]
    assert cli.main([*words, str(tmp_path / "di.wav")]) == 0
    assert "int16x8: ESR" in capsys.readouterr().out
    assert cli.main([*words, str(tmp_path / "cd.wav")]) == 2
    assert "44100 samples per second, the model takes 48000: resample it" in capsys.readouterr().err
    assert cli.main([*words, "a.wav", "b.wav"]) == 2
    assert "one sound file, not 2" in capsys.readouterr().err
