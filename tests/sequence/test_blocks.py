"""Files of the block form: equal to the model over many blocks, and what they refuse."""

import json
import subprocess
import sys

import numpy as np
import pytest
from goldens.nam_documents import documents, sound
from support.nam_files import write_nam

import zoo
from zoo import cli, export
from zoo.errors import FormatError, InputError, ParityError
from zoo.sequence import process


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nam")
    return zoo.load("wavenet_nam", write_nam(folder / "a.nam", documents()["condition"]))


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    for suffix in (".tflite", ".onnx"):
        export.to_blocks(model, folder / f"amp{suffix}", block=48)
    return folder


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_file_equals_its_model(suffix, model, files):
    artifact = export.open_blocks(files / f"amp{suffix}")
    samples = sound(12_000)
    expected = process(model, samples)
    # 250 blocks: the state has been handed on often enough for a drift to show.
    assert np.abs(process(artifact, samples) - expected).max() < 1e-5 * np.abs(expected).max()
    said = artifact.description
    assert (said.block, said.sample_rate, said.receptive_field) == (48, 48000, 1 + 60 + 8)
    assert said.source == {"name": "drawn", "loudness": -20.0}
    assert not [
        name for name in artifact.operations() if "Batch" in name or "BATCH" in name or "Flex" in name
    ]
    report = json.loads((files / f"amp{suffix}.json").read_text())
    assert report["hops"] == 200
    assert 0 < report["max_error"] < 1e-5
    assert report["path"] == f"amp{suffix}"


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_the_same_model_gives_the_same_bytes(suffix, model, files, tmp_path):
    export.to_blocks(model, tmp_path / f"b{suffix}", block=48)
    assert (tmp_path / f"b{suffix}").read_bytes() == (files / f"amp{suffix}").read_bytes()


def test_a_wrong_file_is_not_kept(model, tmp_path, monkeypatch):
    from zoo.export.blocks import publish

    monkeypatch.setattr(publish, "MAX_ERROR", 0.0)
    (tmp_path / "a.tflite").write_bytes(b"before")
    with pytest.raises(ParityError, match="off by"):
        export.to_blocks(model, tmp_path / "a.tflite", block=48)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tflite"]
    assert (tmp_path / "a.tflite").read_bytes() == b"before"


def test_a_host_finds_the_ends_by_name(files):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(files / "amp.tflite")).get_signature_runner("serving_default")
    assert set(runner.get_input_details()) == {"samples", "state"}
    assert set(runner.get_output_details()) == {"output", "next_state"}


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("a.tflite", {"block": 0}, "block must be a whole number"),
        ("a.tflite", {"block": True}, "block must be a whole number"),
        ("a.pb", {}, "named .tflite or .onnx, not 'a.pb'"),
        ("no/a.onnx", {}, "its folder is missing"),
    ],
)
def test_bad_requests(name, words, message, model, tmp_path):
    with pytest.raises(InputError, match=message):
        export.to_blocks(model, tmp_path / name, **words)
    assert not list(tmp_path.iterdir())


def test_other_models_and_files_are_refused(files, tmp_path):
    with pytest.raises(InputError, match="no amplifier model"):
        export.to_blocks(zoo.load("lraspp", weights=None), tmp_path / "a.tflite")
    for name in ("a.tflite", "a.onnx"):
        (tmp_path / name).write_bytes(b"TFL3" * 9)
        with pytest.raises(FormatError, match=r"TFLite file|ONNX file"):
            export.open_blocks(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        export.open_blocks(tmp_path / "none.onnx")
    with pytest.raises(FormatError):
        export.open_artifact(files / "amp.tflite")
    with pytest.raises(InputError, match="blocks of 48 samples, not 64"):
        process(export.open_blocks(files / "amp.onnx"), sound(99), block=64)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_files_need_no_tensorflow(suffix, files):
    code = f"""
import sys
import numpy as np
from zoo.export import open_blocks
from zoo.sequence.processing import process
print(process(open_blocks({str(files / ("amp" + suffix))!r}), np.zeros(100, "float32")).shape)
print(sorted({{"tensorflow", "keras"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["(100,)", "[]"]


def test_command_line(tmp_path, capsys):
    path = write_nam(tmp_path / "a.nam")
    words = ["export", "wavenet_nam", "--weights", str(path), "--format"]
    assert cli.main([*words, "tflite", "--block-samples", "32", "--output", str(tmp_path / "a.tflite")]) == 0
    assert "200 blocks in a row" in capsys.readouterr().out
    for more, message in (
        (["onnx", "--input-size", "8x8", "--output", "a.onnx"], "--input-size is for models of images"),
        (["onnx", "--quantize", "int8", "--output", "a.onnx"], "blocks are quantized in .tflite files"),
        (["saved_model", "--output", "a"], "written as tflite or onnx, not saved_model"),
        (["onnx", "--output", "a.tflite"], "files named *.onnx, not 'a.tflite'"),
    ):
        assert cli.main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert (
        cli.main(["export", "lraspp", "--format", "tflite", "--block-samples", "8", "--output", "a.tflite"])
        == 2
    )
    told = capsys.readouterr().err
    assert "--block-samples is for models of sequences (wavenet_nam, " in told
    assert told.endswith("), not lraspp\n")
