"""Spelling to sound as TFLite and ONNX: the same phones, nothing of images, and hostile files."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from zoo import cli, export
from zoo.errors import FormatError, InputError, ParityError
from zoo.export.transcriber import publish, writer
from zoo.sequence.pronunciations import in_part, read_cmudict

FORMATS = ("tflite", "onnx")


@pytest.fixture(scope="module")
def model():
    return zoo.load("bytenet_g2p")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("files")
    for kind in FORMATS:
        publish_few(model, folder / f"g2p.{kind}")
    return folder


def publish_few(model, path):
    """With 100 words of proof: what a thousand show, `test_a_thousand_words` shows of words that are real."""
    usual, publish.WORDS = publish.WORDS, 100
    try:
        return export.to_transcriber(model, path)
    finally:
        publish.WORDS = usual


@pytest.mark.parametrize("kind", FORMATS)
def test_the_report(kind, folder):
    report = json.loads((folder / f"g2p.{kind}.json").read_text())
    assert report["path"] == f"g2p.{kind}" and report["words"] == 100
    assert report["max_error"] < 1e-5
    names = {name.upper() for name in report["operations"]}
    assert not any("SPACETOBATCH" in name.replace("_", "") or name.startswith("FLEX") for name in names)


def test_a_thousand_words(folder, model, data_dir):
    """Greedy and with a beam, of held-out words; the same phones from every file."""
    words = list(in_part(read_cmudict(data_dir / "sequence" / "cmudict.dict"), "held_out"))[::12]
    assert len(words) > 1000
    files = [export.open_transcriber(folder / f"g2p.{kind}") for kind in FORMATS]
    for beam in (1, 4):
        expected = zoo.transcribe(words, model=model, beam=beam)
        for file in files:
            assert zoo.transcribe(words, model=file, beam=beam) == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_any_lengths(kind, folder, model):
    artifact, draw = export.open_transcriber(folder / f"g2p.{kind}"), np.random.default_rng(5)
    for words, letters, positions in ((1, 1, 1), (4, 7, 3), (1, 64, 103), (2, 3, 20)):
        source = draw.integers(1, 28, (words, letters)).astype(np.int32)
        target = draw.integers(2, 71, (words, positions)).astype(np.int32)
        expected = model({"source": source, "target": target}).numpy()
        found = artifact.logits(source, target)
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_command_needs_no_tensorflow(folder):
    code = (
        "import sys; from zoo import cli; s = cli.main(sys.argv[1:]);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules); sys.exit(s)"
    )
    for kind in FORMATS:
        words = ["transcribe", "cat", "--beam", "2", "--model", f"{folder / f'g2p.{kind}'}"]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "cat  K AE1 T\n"), done.stderr


def test_equal_models_make_equal_files(folder, model, tmp_path):
    for kind in FORMATS:
        publish_few(model, tmp_path / f"g2p.{kind}")
        assert (tmp_path / f"g2p.{kind}").read_bytes() == (folder / f"g2p.{kind}").read_bytes()


def test_a_file_that_differs_is_not_kept(model, tmp_path, monkeypatch):
    other = zoo.load("bytenet_g2p")
    layer = other.get_layer("decoder4_out")
    layer.set_weights([-w for w in layer.get_weights()])
    described = publish._described(model)
    content = writer.to_onnx(other, described)
    monkeypatch.setattr(writer, "to_onnx", lambda *_: content)
    monkeypatch.setattr(publish, "WORDS", 50)
    with pytest.raises(ParityError, match=r"g\.onnx: \d+ of 50 words differ with a beam of 1"):
        export.to_transcriber(model, tmp_path / "g.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command_exports(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(publish, "WORDS", 20)
    words = ["export", "bytenet_g2p", "--format", "tflite", "--output", str(tmp_path / "g.tflite")]
    assert cli.main(words) == 0
    assert "20 drawn words, greedy and with a beam of 4: the same phones" in capsys.readouterr().out
    assert cli.main([*words, "--block-samples", "64"]) == 2
    assert "--block-samples is for other models than bytenet_g2p" in capsys.readouterr().err


def test_other_files_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        export.open_transcriber(tmp_path / "none.onnx")
    with pytest.raises(InputError, match=r"named \.tflite or \.onnx, not 'g\.pb'"):
        export.open_transcriber(tmp_path / "g.pb")
    for kind in FORMATS:
        path = tmp_path / f"text.{kind}"
        path.write_text("phones")
        with pytest.raises(FormatError, match=path.name):
            export.open_transcriber(path)
        whole = (folder / f"g2p.{kind}").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FormatError, match=path.name):
            export.open_transcriber(path)
        path.write_bytes(whole.replace(b"atrous_zoo_transcriber", b"atrous_zoo_transcripts"))
        with pytest.raises(FormatError, match="does not describe itself as one of spelling to sound"):
            export.open_transcriber(path)
        path.write_bytes(whole.replace(b'"version": 1', b'"version": 7'))
        with pytest.raises(FormatError, match="described in version 7; this release reads 1"):
            export.open_transcriber(path)
        path.write_bytes(whole.replace(b'"AA1"', b'"AX1"'))
        with pytest.raises(FormatError, match="does not describe itself"):
            export.open_transcriber(path)


def test_only_that_network_is_written(tmp_path, model):
    images = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(InputError, match="is no ByteNet of two sequences"):
        export.to_transcriber(images, tmp_path / "g.onnx")
    with pytest.raises(InputError, match=r"named \.tflite or \.onnx, not 'g\.pb'"):
        export.to_transcriber(model, tmp_path / "g.pb")
