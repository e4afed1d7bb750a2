"""`zoo.generate`: lengths, ends, draws and what it refuses; files of the digit speaker; the command."""

import json

import keras
import numpy as np
import pytest
import soundfile
from support.digits import small_speaker

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError, MismatchError
from zoo.sequence import mu_law
from zoo.sequence.drawing import chosen
from zoo.sequence.generation import LIMIT, PAUSE, spoken
from zoo.sequence.stored import read_wavenet, write_wavenet
from zoo.weights.npz import read_npz, write_npz

WORDS = {"digit": 4, "speaker": "lucas"}


@pytest.fixture(scope="module")
def model():
    return small_speaker()


def test_it_draws_what_naive_generation_draws(model):
    """Ring buffers against the whole network, run anew for each of 100 codes, more than its field."""
    found = zoo.generate(model, **WORDS, seconds=100 / 8000, seed=5)
    codes, draw = [128], np.random.default_rng(5)
    run = keras.ops.convert_to_numpy
    for _ in range(100):
        logits = run(model({"codes": np.array([codes]), "ids": np.array([[4, 2]])}))[:, -1]
        codes.append(int(chosen(logits, 1.0, draw)[0]))
    np.testing.assert_array_equal(found.samples, mu_law.decode(np.array(codes[1:])))
    assert (found.rate, found.ended) == (8000, False)


def test_draws(model):
    words = {**WORDS, "seconds": 0.02}
    first = zoo.generate(model, **words, seed=1).samples
    np.testing.assert_array_equal(zoo.generate(model, **words, seed=1).samples, first)
    for other in ({"seed": 2}, {"digit": 5}, {"speaker": "theo"}):
        assert (zoo.generate(model, **{**words, "seed": 1, **other}).samples != first).any()
    sure = [zoo.generate(model, **words, temperature=0, seed=seed).samples for seed in (1, 2)]
    np.testing.assert_array_equal(*sure)


def silent_behind(model, bias):
    """The network with one code as likely as a bias makes it."""
    found = keras.models.clone_model(model)
    found.set_weights(model.get_weights())
    kernel, biases = found.layers[-1].get_weights()
    biases[128] += bias
    found.layers[-1].set_weights([kernel, biases])
    return found


def test_a_pause_ends_a_digit(model):
    """Of a network that soon says nothing but silence, only what is before the pause is given."""
    found = zoo.generate(silent_behind(model, 9.0), **WORDS, seed=1)
    assert found.ended
    assert 0 < len(found.samples) < LIMIT - PAUSE
    silence = mu_law.decode(np.array([128]))[0]
    assert found.samples[-1] != silence
    longer = zoo.generate(silent_behind(model, 9.0), **WORDS, seed=1, seconds=0.5)
    assert len(longer.samples) == 4000
    pause = longer.samples[len(found.samples) : len(found.samples) + PAUSE]
    np.testing.assert_array_equal(pause, silence)


def test_what_finds_no_end_is_cut(model, monkeypatch):
    monkeypatch.setattr("zoo.sequence.generation.LIMIT", 200)
    found = zoo.generate(model, **WORDS)
    assert (len(found.samples), found.ended) == (200, False)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([128] * 500, (500, False)),  # nothing was said
        ([128] * 200 + [5] + [128] * 79, (280, False)),
        ([128] * 200 + [5] + [128] * 80, (201, True)),
        ([7, 8] + [128] * 79 + [9] + [128] * 100, (82, True)),
        ([1, 2, 3], (3, False)),
    ],
)
def test_where_a_digit_ends(codes, expected):
    assert spoken(np.array(codes)) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"digit": 10}, "digit must be a whole number from 0 to 9, not 10"),
        ({"digit": True}, "digit must be a whole number"),
        ({"digit": "7"}, "digit must be a whole number from 0 to 9, not '7'"),
        ({"speaker": "bob"}, "the speakers are george, jackson, lucas, nicolas, theo, yweweler, not 'bob'"),
        ({"seconds": 0}, "seconds must be a number above 0, at most 60, not 0"),
        ({"seconds": float("nan")}, "seconds must be a number"),
        ({"seconds": 1e9}, "at most 60"),
        ({"temperature": -0.5}, "temperature must be a number from 0, not -0.5"),
        ({"temperature": "warm"}, "temperature must be a number"),
        ({"seed": -1}, "seed must be a whole number from 0, not -1"),
        ({"model": "wavenet_nam"}, "wavenet_digits is the model that is generated from, not 'wavenet_nam'"),
    ],
)
def test_refusals(words, message, model):
    with pytest.raises(InputError, match=message):
        zoo.generate(**{"model": model, **WORDS, **words})


def test_other_models_are_refused():
    with pytest.raises(InputError, match="no WaveNet of codes"):
        zoo.generate(zoo.load("lraspp", weights=None), **WORDS)
    small = zoo.sequence.WaveNetConfig(layers=2, stacks=1, ids=(10,))
    with pytest.raises(InputError, match="no WaveNet of 10 digits, 6 speakers"):
        zoo.generate(zoo.sequence.build_wavenet(small), **WORDS)


def test_files(model, tmp_path):
    """Kernels in 16 bits, as any of the zoo's own files."""
    write_wavenet(tmp_path / "a.npz", model)
    found = zoo.load("wavenet_digits", tmp_path / "a.npz")
    for old, new in zip(model.weights, found.weights, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3 if len(old.shape) > 1 else 0, atol=1e-6)
    found.save(tmp_path / "a.keras")
    again = zoo.load("wavenet_digits", tmp_path / "a.keras")
    first, second = (zoo.generate(m, **WORDS, seconds=0.01).samples for m in (found, again))
    np.testing.assert_array_equal(first, second)


def test_other_files_are_refused(model, tmp_path):
    path = tmp_path / "a.npz"
    write_wavenet(path, model)
    arrays = read_npz(path)
    about = str(arrays.pop("about"))
    del arrays["classes"]

    def refused(arrays, about, error, message):
        write_npz(path, arrays, classes=256, about=about)
        with pytest.raises(error, match=message) as told:
            read_wavenet(path, name="a")
        assert "\n" not in str(told.value)

    refused(
        {k: v for k, v in arrays.items() if k != "first/bias"}, about, MismatchError, "such as first/bias"
    )
    refused({**arrays, "more": np.zeros(2)}, about, MismatchError, "1 arrays do not fit .* such as more")
    wrong = {**arrays, "first/bias": np.zeros(7)}
    refused(wrong, about, MismatchError, "first/bias")
    wrong = {**arrays, "first/bias": np.full(6, np.nan)}
    refused(wrong, about, FormatError, "first/bias has values that are not finite")
    for text in ("", "[1]", "{", '{"layers": 7}', '{"depth": 3}', '{"residual": 1000000}', "[" * 4000):
        refused(arrays, text, FormatError, "does not describe itself as a WaveNet of codes")
    path.write_bytes(b"PK")
    with pytest.raises(FormatError):
        zoo.load("wavenet_digits", path)
    with pytest.raises(InputError, match="no such file is there"):
        zoo.load("wavenet_digits", tmp_path / "none.npz")
    with pytest.raises(InputError, match="needs weights"):
        zoo.load("wavenet_digits", None)
    with pytest.raises(InputError, match="has no settings, and no submodel"):
        zoo.load("wavenet_digits", path, settings={"submodel": 1})


def test_saved_models_of_another_kind_are_refused(model, tmp_path):
    model.save(tmp_path / "a.keras")
    with pytest.raises(InputError, match="no amplifier model"):
        zoo.load("wavenet_nam", tmp_path / "a.keras")


def test_command_line(model, tmp_path, capsys):
    write_wavenet(tmp_path / "a.npz", model)
    words = ["generate", "wavenet_digits", "--weights", str(tmp_path / "a.npz"), "--speaker", "theo"]
    words += ["--digit", "7", "--output", str(tmp_path / "seven.wav")]
    assert cli.main([*words, "--seconds", "0.05", "--seed", "3", "--json", str(tmp_path / "a.json")]) == 0
    assert "0.05 s, 8000 Hz" in capsys.readouterr().out
    sound, rate = soundfile.read(tmp_path / "seven.wav", dtype="float32")
    found = zoo.load("wavenet_digits", tmp_path / "a.npz")
    expected = zoo.generate(found, digit=7, speaker="theo", seconds=0.05, seed=3)
    assert rate == 8000
    np.testing.assert_allclose(sound, expected.samples, atol=2**-15)
    assert json.loads((tmp_path / "a.json").read_text())["seconds"] == 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wavenet_nam", "--digit", "7"], "wavenet_digits is the model that is generated from"),
        (["wavenet_digits", "--digit", "12"], "digit must be a whole number from 0 to 9, not 12"),
        (["wavenet_digits", "--digit", "1", "--seconds", "-1"], "seconds must be a number above 0"),
        (
            ["wavenet_digits", "--digit", "1", "--weights", "none.npz"],
            "has no weights 'none.npz'",
        ),
    ],
)
def test_command_line_refuses(words, message, tmp_path, capsys):
    output = tmp_path / "a.wav"
    assert cli.main(["generate", *words, "--speaker", "theo", "--output", str(output)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert not output.exists()


def test_the_output_is_named_wav(tmp_path, capsys):
    words = ["generate", "wavenet_digits", "--digit", "1", "--speaker", "theo"]
    assert cli.main([*words, "--output", str(tmp_path / "a.mp3")]) == 2
    assert "*.wav, not 'a.mp3'" in capsys.readouterr().err
