"""Files of the digit speaker: equal to the network over longer than it remembers, and generated from."""

import json
import subprocess
import sys

import numpy as np
import pytest
from support.digits import small_speaker

import zoo
from zoo import export
from zoo.errors import FormatError, InputError, ParityError
from zoo.sequence.wavenet import WaveNetConfig, build_wavenet


@pytest.fixture(scope="module")
def model():
    return small_speaker()


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("speakers")
    for suffix in (".tflite", ".onnx"):
        for block in (1, 2, 64):
            export.to_speaker(model, folder / f"{block}{suffix}", block=block)
    return folder


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("block", [1, 2, 64])
def test_a_file_equals_its_model(suffix, block, model, files):
    artifact = export.open_speaker(files / f"{block}{suffix}")
    codes, ids = np.random.default_rng(1).integers(0, 256, (1, 1280)), np.array([[3, 5]])
    expected = model({"codes": codes, "ids": ids}).numpy()
    state, found = artifact.initial_state(), []
    for start in range(0, codes.shape[1], block):
        logits, state = artifact.step(codes[:, start : start + block], ids, state)
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5 * np.abs(expected).max())
    names = artifact.operations()
    assert not [name for name in names if "BATCH" in name or "Batch" in name or "Flex" in name]
    report = json.loads((files / f"{block}{suffix}.json").read_text())
    assert report["hops"] == -(-64 // block) + 200
    assert 0 < report["max_error"] < 1e-5


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_generation_from_a_file_is_that_of_the_model(suffix, model, files):
    words = {"digit": 4, "speaker": "lucas", "seconds": 0.05, "seed": 3}
    expected = zoo.generate(model, **words)
    found = zoo.generate(export.open_speaker(files / f"1{suffix}"), **words)
    np.testing.assert_array_equal(found.samples, expected.samples)
    assert (found.rate, len(found.samples)) == (8000, 400)


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_files_need_no_tensorflow(suffix, files):
    code = f"""
import sys
import zoo
from zoo.export import open_speaker
found = zoo.generate(open_speaker({str(files / f"1{suffix}")!r}), digit=1, speaker="theo", seconds=0.01)
print(found.samples.shape)
print(sorted({{"tensorflow", "keras"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[:2] == ["(80,)", "[]"]


def test_a_wrong_file_is_not_kept(model, tmp_path, monkeypatch):
    from zoo.export.blocks import to_speaker

    monkeypatch.setattr(to_speaker, "MAX_ERROR", 0.0)
    with pytest.raises(ParityError, match="off by"):
        export.to_speaker(model, tmp_path / "a.tflite")
    assert not list(tmp_path.iterdir())


def test_other_models_and_files_are_refused(files, tmp_path):
    other = build_wavenet(WaveNetConfig(layers=2, stacks=1, ids=(10, 5)))
    with pytest.raises(InputError, match="no WaveNet of 10 digits and 6 speakers"):
        export.to_speaker(other, tmp_path / "a.tflite")
    with pytest.raises(InputError, match="single codes, not 64"):
        zoo.generate(export.open_speaker(files / "64.onnx"), digit=1, speaker="theo")
    for suffix in (".tflite", ".onnx"):
        with pytest.raises(FormatError, match="does not describe itself as blocks"):
            export.open_blocks(files / f"1{suffix}")
    with pytest.raises(InputError, match="no such file"):
        export.open_speaker(tmp_path / "a.onnx")
