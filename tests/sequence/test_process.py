"""`zoo process`, sound files good and bad, and what refuses models of sequences."""

import json
import struct
import wave

import numpy as np
import pytest
import soundfile
from goldens.nam_documents import sound
from support.nam_files import write_nam

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError
from zoo.sequence import process
from zoo.sequence.sound import read_sound, write_sound


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_nam(tmp_path / "amp.nam")
    soundfile.write("in.wav", sound(3000), 48000, subtype="PCM_24")
    return tmp_path


def run(*words):
    return cli.main(["process", *map(str, words)])


def test_a_file_is_processed(folder, capsys):
    assert run("amp.nam", "in.wav", "--output", "out.wav", "--json", "a.json") == 0
    found, rate = soundfile.read("out.wav", dtype="float32")
    given, _ = soundfile.read("in.wav", dtype="float32")
    expected = process(zoo.load("wavenet_nam", "amp.nam"), given)
    assert rate == 48000
    assert soundfile.info("out.wav").subtype == "PCM_24"
    np.testing.assert_allclose(found, expected, atol=2**-22)
    assert "0.06 s, 48000 Hz, PCM_24, peak" in capsys.readouterr().out
    assert json.loads((folder / "a.json").read_text())["cut"] == 0


def test_saved_models(folder):
    assert run("amp.nam", "in.wav", "--output", "a.wav") == 0
    zoo.load("wavenet_nam", "amp.nam").save("amp.keras")
    assert run("amp.keras", "in.wav", "--output", "b.wav") == 0
    assert (folder / "a.wav").read_bytes() == (folder / "b.wav").read_bytes()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_depth_is_read_right(subtype, tmp_path):
    path = tmp_path / "a.wav"
    samples = 0.5 * sound(500)
    soundfile.write(path, samples, 44100, subtype=subtype)
    found = read_sound(path)
    assert (found.rate, found.subtype) == (44100, subtype)
    np.testing.assert_allclose(found.samples[:, 0], samples, atol=1 / 100 if subtype == "PCM_U8" else 1e-4)


def test_channels_are_asked_for(folder, capsys):
    left, right = sound(500), sound(500)[::-1]
    soundfile.write("two.wav", np.stack([left, right], axis=1), 48000, subtype="FLOAT")
    assert run("amp.nam", "two.wav", "--output", "out.wav") == 2
    assert "two.wav has 2 channels: choose one (1 to 2), or mix" in capsys.readouterr().err
    assert not (folder / "out.wav").exists()
    model = zoo.load("wavenet_nam", "amp.nam")
    for channel, expected in (("1", left), ("2", right), ("mix", (left + right) / 2)):
        assert run("amp.nam", "two.wav", "--channel", channel, "--output", "out.wav") == 0
        np.testing.assert_allclose(soundfile.read("out.wav")[0], process(model, expected), atol=1e-6)
    assert run("amp.nam", "two.wav", "--channel", "3", "--output", "out.wav") == 2
    assert run("amp.nam", "two.wav", "--channel", "left", "--output", "out.wav") == 2
    assert "--channel takes a number or mix, not 'left'" in capsys.readouterr().err


def test_another_sample_rate_is_asked_about(folder, capsys):
    soundfile.write("cd.wav", sound(500), 44100)
    assert run("amp.nam", "cd.wav", "--output", "out.wav") == 2
    assert "44100 samples per second, the model takes 48000: resample it" in capsys.readouterr().err
    assert run("amp.nam", "cd.wav", "--any-rate", "--output", "out.wav") == 0
    assert soundfile.info("out.wav").samplerate == 44100


def test_samples_that_are_cut_are_told(folder, capsys, tmp_path):
    cut = write_sound(tmp_path / "a.wav", np.array([0, 1.5, -2], np.float32), rate=8000, subtype="PCM_16")
    assert cut == 2
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], [0, 1, -1], atol=1e-4)
    assert write_sound(tmp_path / "b.wav", np.array([1.5], np.float32), rate=8000, subtype="FLOAT") == 0
    assert soundfile.read(tmp_path / "b.wav")[0][0] == 1.5


def header(data: bytes, *, channels=1, rate=48000, bits=16, claimed=None, kind=1):
    """A WAV file whose header says what it likes."""
    size = len(data) if claimed is None else claimed
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 2**32 - 1))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
        + data
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sound file"),
        (b"RIFF", "no sound file"),
        (b"\x89PNG\r\n", "no sound file"),
        (header(b""), "holds no sound"),
        (header(b"\0" * 64, channels=0), "no sound file"),
        (header(np.array([np.nan], "<f4").tobytes(), bits=32, kind=3), "not finite"),
        (header(np.array([np.inf], "<f4").tobytes(), bits=32, kind=3), "not finite"),
        (header(b"\0" * 64, bits=16, kind=0x7777), "no sound file"),
    ],
)
def test_damaged_sound_is_one_line(content, message, folder, capsys):
    (folder / "bad.wav").write_bytes(content)
    with pytest.raises((FormatError, InputError), match=message) as told:
        read_sound(folder / "bad.wav")
    assert "\n" not in str(told.value)
    assert run("amp.nam", "bad.wav", "--output", "out.wav") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (folder / "out.wav").exists()


def test_a_claimed_length_takes_no_memory(tmp_path):
    """Two gigabytes are claimed: what is there is what is read, and said."""
    path = tmp_path / "bomb.wav"
    path.write_bytes(header(b"\0" * 64, claimed=2**31))
    try:
        found = read_sound(path)
    except (FormatError, InputError) as error:
        assert "claims" in str(error)
    else:
        assert len(found.samples) == 32


def test_the_standard_library_agrees(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 3, 48000, 0, "NONE", ""))
        file.writeframes(b"\x00\x00\x40" + b"\x00\x00\xc0")
    np.testing.assert_array_equal(read_sound(tmp_path / "a.wav").samples[:, 0], [0.5, -0.5])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["amp.onnx", "in.wav"], "no such file: amp.onnx"),
        (["lraspp", "in.wav"], "no model of sound: lraspp"),
        (["amp.nam", "none.wav"], "no such file: none.wav"),
        (["amp.keras", "in.wav"], "no such weights file: amp.keras"),
        (["amp.nam", "in.wav", "--submodel", "1"], "holds 1 sizes: submodel must be 0 to 0"),
    ],
)
def test_refusals(words, message, folder, capsys):
    assert run(*words, "--output", "out.wav") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out.wav").exists()


def test_the_result_is_named_wav(folder, capsys):
    assert run("amp.nam", "in.wav", "--output", "out.mp3") == 2
    assert "*.wav, not 'out.mp3'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["segment", "evaluate", "export"])
def test_commands_of_images_refuse_models_of_sequences(command, folder, capsys):
    more = {
        "segment": ["in.wav"],
        "evaluate": ["--dataset", "folder", "--data", "."],
        "export": ["--format", "saved_model", "--output", "a"],
    }[command]
    assert cli.main([command, "wavenet_nam", *more]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_calls_of_images_refuse_models_of_sequences(folder):
    model = zoo.load("wavenet_nam", "amp.nam")
    with pytest.raises(InputError, match=r"model of sequences \(amplifier\)"):
        zoo.segment(model, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"model of sequences \(amplifier\), not of images"):
        zoo.info("wavenet_nam")
    with pytest.raises(InputError, match="nothing of images"):
        zoo.load("wavenet_nam", "amp.nam", classes=3)
    with pytest.raises(InputError, match=r"no published weights: give the path of a \.nam file"):
        zoo.load("wavenet_nam")
    with pytest.raises(InputError, match="no setting speed; it has submodel"):
        zoo.load("wavenet_nam", "amp.nam", settings={"speed": 2})


def test_the_list_shows_tasks(capsys):
    assert cli.main(["list"]) == 0
    assert "wavenet_nam" in capsys.readouterr().out
    assert cli.main(["list", "--json", "-"]) == 0
    tasks = {row["name"]: row["task"] for row in json.loads(capsys.readouterr().out)}
    assert tasks["wavenet_nam"] == "amplifier"
    assert tasks["lraspp_mobilenet_v2"] == "segmentation"
    assert cli.main(["info", "wavenet_nam"]) == 0
    assert "zoo process" in capsys.readouterr().out
