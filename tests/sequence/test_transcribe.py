"""Spelling to sound: dictionary and split, error rates, `zoo.transcribe`, the command, and refusals."""

import hashlib
import json

import keras
import numpy as np
import pytest

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError
from zoo.sequence.bytenet import config_of
from zoo.sequence.bytenet_files import read_bytenet, write_bytenet
from zoo.sequence.error_rates import edit_distance, error_rates
from zoo.sequence.phones import PHONES, letters_of, phones_of, symbols_of, without_stress
from zoo.sequence.pronunciations import PARTS, in_part, part_of, read_cmudict
from zoo.weights import catalog, fetch

DICTIONARY = """\
;;; a remark of older files
read R EH1 D
read(2) R IY1 D
read(3) R IY1 D
aalborg AO1 L B AO0 R G # place, danish
all-star AO1 L S T AA1 R
't T IY1
"""


@pytest.fixture
def dictionary(tmp_path):
    path = tmp_path / "c.dict"
    path.write_text(DICTIONARY)
    return path


@pytest.fixture(scope="module")
def model():
    return zoo.load("bytenet_g2p")


def test_a_dictionary_is_read(dictionary):
    found = read_cmudict(dictionary)
    assert found["read"] == (("R", "EH1", "D"), ("R", "IY1", "D"))
    assert found["aalborg"] == (("AO1", "L", "B", "AO0", "R", "G"),)
    assert set(found) == {"read", "aalborg", "'t"}


@pytest.mark.parametrize("line", ["read", "read R EH1 D2", "read R EH1 d", "read R EH3", "\x00\x01"])
def test_other_files_are_refused(line, dictionary):
    dictionary.write_text(DICTIONARY + line + "\n")
    with pytest.raises(FormatError, match=r"c\.dict, line 8: no word and its ARPAbet phones"):
        read_cmudict(dictionary)


def test_the_split_is_by_the_hash_of_the_word(dictionary):
    for word in ("segmentation", "cat", "o'clock", "dilated"):
        digit = int(hashlib.sha256(word.encode()).hexdigest(), 16) % 10
        assert part_of(word) == ["held_out", "dev", *["train"] * 8][digit]
    words = read_cmudict(dictionary)
    parts = [set(in_part(words, part)) for part in PARTS]
    assert set.union(*parts) == set(words) and sum(map(len, parts)) == len(words)
    with pytest.raises(InputError, match="part must be one of train, dev, held_out, not 'test'"):
        in_part(words, "test")


def test_the_dictionary_as_published(data_dir):
    words = read_cmudict(data_dir / "sequence" / "cmudict.dict")
    assert len(words) == 124_926 and sum(map(len, words.values())) == 133_971
    assert [len(in_part(words, part)) for part in PARTS] == [99_843, 12_465, 12_618]
    config = config_of(zoo.load("bytenet_g2p"))
    beyond = [w for w, found in words.items() for p in found if len(p) + 1 > config.longest(len(w))]
    assert len(beyond) == 7


def test_symbols_and_back():
    phones = ["S", "EH2", "G", "AH0"]
    assert list(phones_of([*symbols_of(phones), 1, 5])) == phones
    assert letters_of("Cat") == letters_of("cat")
    assert letters_of("O\u2019Hare") == letters_of("o'hare")
    assert without_stress(phones) == ("S", "EH", "G", "AH")
    assert len(PHONES) == len(set(PHONES)) == 69
    assert len(set(without_stress(PHONES))) == 39
    with pytest.raises(InputError, match="unknown phone 'AX0'"):
        symbols_of(["AX0"])


def test_error_rates_by_hand():
    words = {"a": (("R", "EH1", "D"), ("R", "IY1", "D")), "b": (("B", "AH0"),), "c": (("K",),)}
    said = {"a": ["R", "IY2", "D"], "b": ["B", "IY0", "S"], "c": ["K"]}
    plain = error_rates(said, words)
    assert plain.word_error == pytest.approx(100 / 3) and plain.phone_error == pytest.approx(100 * 2 / 6)
    stressed = error_rates(said, words, stress=True)
    assert stressed.word_error == pytest.approx(200 / 3)
    assert stressed.phone_error == pytest.approx(100 * 3 / 6)
    with pytest.raises(InputError, match="none of the dictionary: z"):
        error_rates({"z": []}, words)


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2)]
)
def test_edit_distance(a, b, edits):
    assert edit_distance(a, b) == edits


def test_words_are_transcribed(model):
    assert zoo.transcribe("cat", model=model) == ["K", "AE1", "T"]
    words = ["segmentation", "CAT", "school"]
    found = zoo.transcribe(words, model=model, beam=4)
    assert found[0] == ["S", "EH2", "G", "M", "AH0", "N", "T", "EY1", "SH", "AH0", "N"]
    assert found[1] == ["K", "AE1", "T"]
    assert found == [zoo.transcribe(word, model=model, beam=4) for word in words]
    assert zoo.transcribe([], model=model) == []


def test_any_word_ends(model):
    words, limit = ["x" * 64, "'" * 64, "zqxj" * 16, "w"], config_of(model).longest(64)
    for beam in (1, 3):
        assert all(len(p) <= limit for p in zoo.transcribe(words, model=model, beam=beam))


def test_held_out_words(model, data_dir):
    """Every twentieth of them; MODEL_CARD.md has the score of all."""
    words = in_part(read_cmudict(data_dir / "sequence" / "cmudict.dict"), "held_out")
    chosen = list(words)[::20]
    found = dict(zip(chosen, zoo.transcribe(chosen, model=model), strict=True))
    rates = error_rates(found, words)
    assert rates.words == 631
    assert rates.word_error < 31 and rates.phone_error < 8


def test_the_bundled_file():
    entry = catalog.find("bytenet_g2p", "cmudict")
    assert fetch.verify(entry) == "ok"
    assert fetch.cached(entry).stat().st_size == entry.bytes < 6_000_000
    assert "MODEL_CARD.md" in entry.source


def test_own_files(model, tmp_path):
    write_bytenet(tmp_path / "g.npz", model)
    write_bytenet(tmp_path / "h.npz", model)
    assert (tmp_path / "g.npz").read_bytes() == (tmp_path / "h.npz").read_bytes()
    found = zoo.load("bytenet_g2p", tmp_path / "g.npz")
    inputs = {"source": np.array([[3, 4, 5]]), "target": np.array([[0, 7, 8]])}
    np.testing.assert_array_equal(found(inputs), model(inputs))
    model.save(tmp_path / "g.keras")
    assert zoo.transcribe("cat", model=zoo.load("bytenet_g2p", tmp_path / "g.keras")) == ["K", "AE1", "T"]
    with np.load(tmp_path / "g.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "less.npz", **{k: v for k, v in arrays.items() if k != "head_conv/1"})
    with pytest.raises(zoo.errors.MismatchError, match="such as head_conv"):
        read_bytenet(tmp_path / "less.npz")
    np.savez(tmp_path / "other.npz", **{**arrays, "about": np.asarray('{"classes": 3}')})
    with pytest.raises(FormatError, match="does not describe itself as a ByteNet"):
        read_bytenet(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("naïve", "'naïve' has 'ï'; a word is spelled with the letters a to z and apostrophes"),
        ("mp3", "'mp3' has '3'"),
        ("two words", "'two words' has ' '"),
        ("well-known", "'well-known' has '-'"),
        ("", "a word is a string of letters and apostrophes, not ''"),
        ("a" * 65, "has 65 letters; a word has at most 64"),
        (3, "not 3"),
    ],
)
def test_other_words_are_refused(word, message, model):
    with pytest.raises(InputError, match=message):
        zoo.transcribe([word], model=model)


@pytest.mark.parametrize("beam", [0, 33, 1.5, True, None])
def test_other_beams_are_refused(beam, model):
    with pytest.raises(InputError, match="beam must be from 1 to 32"):
        zoo.transcribe("cat", model=model, beam=beam)


def test_other_models_are_refused(model):
    images = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(InputError, match="is no ByteNet of two sequences"):
        zoo.transcribe("cat", model=images)
    with pytest.raises(InputError, match="takes bytenet_g2p, or a file of it, not 'lraspp'"):
        zoo.transcribe("cat", model="lraspp")
    with pytest.raises(InputError, match="or a file of it, not int"):
        zoo.transcribe("cat", model=3)
    with pytest.raises(InputError, match=r"model of sequences \(two sequences\)"):
        zoo.segment(model, np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"model of sequences \(spelling to sound\), not of images"):
        zoo.info("bytenet_g2p")
    with pytest.raises(InputError, match="nothing of images"):
        zoo.load("bytenet_g2p", classes=3)
    with pytest.raises(InputError, match="has no settings, and no width"):
        zoo.load("bytenet_g2p", settings={"width": 3})


def test_the_command(capsys, tmp_path):
    assert cli.main(["transcribe", "cat", "school"]) == 0
    assert capsys.readouterr().out.splitlines() == ["cat     K AE1 T", "school  S K UW1 L"]
    assert cli.main(["transcribe", "cat", "--beam", "2", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"word": "cat", "phones": ["K", "AE1", "T"]}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mp3"], "'mp3' has '3'"),
        (["cat", "--beam", "0"], "beam must be from 1 to 32, not 0"),
        (["cat", "--model", "lraspp"], "zoo transcribe takes bytenet_g2p or a file of it"),
        (["cat", "--model", "amp.nam"], "zoo transcribe takes bytenet_g2p or a file of it"),
        (["cat", "--model", "none.onnx"], "no such file: none.onnx"),
        (["cat", "--model", "none.npz"], "no such file is there"),
    ],
)
def test_the_command_refuses_in_one_line(words, message, capsys):
    assert cli.main(["transcribe", *words]) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.splitlines()) == 1


@pytest.mark.parametrize("command", ["segment", "evaluate", "process"])
def test_other_commands_refuse_it(command, capsys):
    more = {"segment": ["a.png"], "evaluate": ["--dataset", "folder", "--data", "."]}
    more["process"] = ["in.wav", "--output", "out.wav"]
    assert cli.main([command, "bytenet_g2p", *more[command]]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_list_shows_it(capsys):
    assert cli.main(["list"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("bytenet_g2p"))
    assert "spelling to sound" in line and "cmudict*" in line and "zoo transcribe" in line
