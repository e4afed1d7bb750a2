"""What is for images refuses models of sequences in one line, and the reverse."""

import numpy as np
import pytest
from support.digits import small_speaker
from support.nam_files import write_nam

import zoo
from zoo import cli
from zoo.errors import InputError

COMMANDS = {
    "segment": ["a.png", "--output", "out"],
    "evaluate": ["--dataset", "folder", "--data", "."],
    "train": ["--dataset", "folder", "--data", ".", "--output", "run"],
}


@pytest.mark.parametrize("name", ["wavenet_nam", "wavenet_digits"])
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_images(command, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    try:
        status = cli.main([command, name, *COMMANDS[command]])
    except SystemExit as error:
        status = error.code
    told = capsys.readouterr().err
    assert status == 2
    assert len(told.splitlines()) == 1
    assert f"{name} is a model of sequences (" in told


@pytest.mark.parametrize("name", ["wavenet_nam", "wavenet_digits"])
def test_calls_of_images(name, tmp_path):
    if name == "wavenet_nam":
        model, task = zoo.load(name, write_nam(tmp_path / "a.nam")), "amplifier"
    else:
        model, task = small_speaker(), "sound by codes"
    with pytest.raises(InputError, match=rf"model of sequences \({task}\)"):
        zoo.segment(model, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"model of sequences \("):
        zoo.info(name)
    with pytest.raises(InputError, match="nothing of images"):
        zoo.load(name, classes=3)
    with pytest.raises(InputError, match=rf"model of sequences \({task}\)"):
        zoo.export.to_tflite(model, tmp_path / "a.tflite", input_size=(64, 64))


def test_calls_of_sequences(tmp_path, capsys):
    image = zoo.load("lraspp", weights=None)
    sound = np.zeros(100, np.float32)
    for model in (image, small_speaker()):
        with pytest.raises(InputError, match="no amplifier model"):
            zoo.process(model, sound)
    with pytest.raises(InputError, match="takes a model of sound, not str"):
        zoo.process("amp.nam", sound)
    with pytest.raises(InputError, match="no WaveNet of codes"):
        zoo.generate(image, digit=1, speaker="theo")
    with pytest.raises(InputError, match="no WaveNet of codes"):
        zoo.export.to_speaker(image, tmp_path / "a.tflite")
    output = str(tmp_path / "a.wav")
    assert cli.main(["generate", "lraspp", "--digit", "1", "--speaker", "theo", "--output", output]) == 2
    assert "wavenet_digits is the model that is generated from, not 'lraspp'" in capsys.readouterr().err


def test_the_list_shows_tasks(capsys):
    assert cli.main(["list"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wavenet_")]
    assert "amplifier" in rows[0]
    assert "a file: .nam .keras" in rows[0]
    assert "digit speaker" in rows[1]
    assert "fsdd*" in rows[1]
    assert cli.main(["info", "wavenet_digits"]) == 0
    told = capsys.readouterr().out
    assert "CC BY-SA 4.0" in told
    assert "bits per sample" in told
