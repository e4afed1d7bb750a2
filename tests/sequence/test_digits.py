"""The digit recordings, their batches, a training that is put down and taken up, and the baselines."""

import numpy as np
import pytest
from support.digits import SMALL, small_speaker, wav, write_archive

from zoo.errors import FormatError, InputError
from zoo.sequence import mu_law
from zoo.sequence.digits import baselines
from zoo.sequence.digits.batches import END, epoch
from zoo.sequence.digits.likelihood import network_bits, per_sample
from zoo.sequence.digits.recordings import SILENCE, SPEAKERS, Recording, read_recordings
from zoo.sequence.digits.training import Recipe, Trainer
from zoo.sequence.wavenet import WaveNetConfig


@pytest.fixture
def recordings(tmp_path):
    return read_recordings(write_archive(tmp_path / "a.zip"), "train")


def test_recordings(tmp_path):
    more = [("README.md", b"#"), ("0_bob_10.wav", b"x"), ("0_theo_0.wav", wav([0, 100, -100]))]
    path = write_archive(tmp_path / "a.zip", more=more)
    found = read_recordings(path, "train")
    assert len(found) == 2 * 6 * 3
    assert found[0].ids == (0, 0)
    assert [r.index for r in found[:3]] == [10, 11, 12]
    assert len(found[1].sound) == 300 + 7 * 11
    (test,) = read_recordings(path, "test")
    assert (SPEAKERS[test.speaker], test.index) == ("theo", 0)
    np.testing.assert_allclose(test.sound, np.array([0, 100, -100]) / 32768)
    # Halves of a code above and below silence.
    assert test.codes[0] == SILENCE
    np.testing.assert_allclose(mu_law.decode(test.codes), test.sound, atol=2e-4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0_theo_10.wav", b"", "cannot be read|can be read"),
        ("0_theo_10.wav", b"RIFF" + bytes(40), "can be read"),
        ("0_theo_10.wav", wav([1, 2, 3], rate=16000), "are 16000, 1, 2; 8000 Hz, 1 and 2 are read"),
        ("0_theo_10.wav", wav([1, 2], channels=2), "are 8000, 2, 2"),
        ("0_theo_10.wav", wav([]), "holds no sound"),
        ("0_theo_10.wav", wav(np.zeros(2**20)), "bytes; at most 1048576 are read"),
    ],
)
def test_other_archives_are_refused(name, content, message, tmp_path):
    path = write_archive(tmp_path / "a.zip", digits=(), more=[(name, content)])
    with pytest.raises(FormatError, match=message) as told:
        read_recordings(path, "train")
    assert "\n" not in str(told.value)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4")
    with pytest.raises(FormatError, match="no archive"):
        read_recordings(tmp_path / "a.zip", "train")
    with pytest.raises(InputError, match="no such file"):
        read_recordings(tmp_path / "b.zip", "train")
    path = write_archive(tmp_path / "c.zip")
    with pytest.raises(InputError, match="holds no recording"):
        read_recordings(path, "dev")
    with pytest.raises(InputError, match="splits are test, dev, train, not 'val'"):
        read_recordings(path, "val")


def test_batches_hold_every_sample_once(recordings):
    seen = []
    for batch in epoch(recordings, size=5, field=64, seed=(0, 0)):
        np.testing.assert_array_equal(batch.codes[:, 1:], batch.targets[:, :-1])
        assert (batch.codes[:, 0] == SILENCE).all()
        for targets, weights, ids in zip(batch.targets, batch.weights, batch.ids, strict=True):
            length = int(weights.sum())
            assert (targets[length - END : length] == SILENCE).all()
            seen.append((*ids, targets[: length - END].tobytes()))
    expected = [(*r.ids, r.codes.tobytes()) for r in recordings]
    assert sorted(seen) == sorted(expected)


def test_a_long_recording_is_cut_behind_what_the_network_saw():
    draw = np.random.default_rng(0)
    recording = Recording(3, 1, 10, draw.uniform(-1, 1, 9000).astype(np.float32))
    codes = np.concatenate([recording.codes, np.full(END, SILENCE)])
    starts = set()
    for number in range(12):
        (batch,) = epoch([recording], size=4, field=64, seed=(0, number))
        assert batch.targets.shape == (1, 6144)
        (start,) = (s for s in range(len(codes) - 6143) if (codes[s : s + 6144] == batch.targets[0]).all())
        starts.add(start)
        assert batch.weights[0, :64].sum() == (64 if start == 0 else 0)
        assert (batch.weights[0, 64:] == 1).all()
    assert len(starts) > 6


def test_a_training_that_was_put_down_goes_on_the_same(recordings, tmp_path):
    config = WaveNetConfig(**{**SMALL, "layers": 2})

    def trained(folder, *stops):
        for stop in stops:
            trainer = Trainer(config, Recipe(steps=6, batch=5), recordings, folder=folder)
            trainer.resume()
            trainer.run(report=lambda line: None, save_every=stop, until=stop)
        return trainer

    whole, parted = trained(tmp_path / "a", 6), trained(tmp_path / "b", 2, 5, 6)
    assert (whole.done, parted.done) == (6, 6)
    for a, b in zip(whole.averaged().weights, parted.averaged().weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    other = WaveNetConfig(**{**SMALL, "layers": 4})
    with pytest.raises(InputError, match="of a network of other settings"):
        Trainer(other, Recipe(steps=6), recordings, folder=tmp_path / "a").resume()


def test_it_learns(recordings, tmp_path):
    """Tones are soon easier to foresee."""
    config = WaveNetConfig(**{**SMALL, "residual": 16, "gate": 32, "skip": 32})
    recipe = Recipe(steps=60, batch=6, average=0.9, learning_rate=1e-2)
    trainer = Trainer(config, recipe, recordings, folder=tmp_path)
    before = per_sample(*network_bits(trainer.model, recordings), recordings)
    trainer.run(report=lambda line: None)
    after = per_sample(*network_bits(trainer.averaged(), recordings), recordings)
    assert before == pytest.approx(8, abs=0.5)
    assert after < 6.5


@pytest.mark.parametrize("words", [{"steps": 0}, {"steps": 5, "average": 1}, {"steps": 5, "batch": "4"}])
def test_bad_recipes(words):
    with pytest.raises(InputError):
        Recipe(**words)


def test_bits_are_those_of_each_recording(recordings):
    model = small_speaker()
    right, wrong = network_bits(model, recordings, conditions=[lambda ids: ids, lambda ids: (9, ids[1])])
    for index in (0, 17):
        r = recordings[index]
        codes = np.concatenate([[SILENCE], r.codes])[None]
        logits = model({"codes": codes[:, :-1], "ids": np.array([r.ids])}).numpy()[0].astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        expected = -np.log2(odds[np.arange(len(r.codes)), r.codes]).sum()
        assert right[index] == pytest.approx(expected, rel=1e-4)
    assert (right != wrong).all()


def test_counts_of_codes_are_odds():
    """Of a pattern that repeats, everything is known but the beginning; nothing is ever impossible."""
    sound = mu_law.decode(np.tile([10, 60, 90, 200], 100))
    train = [Recording(0, 0, 10, sound)]
    assert baselines.ngram_bits(train, train, order=1)[0] == pytest.approx(800, abs=8)
    assert baselines.ngram_bits(train, train, order=2)[0] < 60
    other = [Recording(0, 0, 0, mu_law.decode(np.arange(256)))]
    for order in (1, 2, 3):
        bits = baselines.ngram_bits(train, other, order=order)[0]
        assert np.isfinite(bits)
        assert bits > 8 * 256
    # The odds of all codes behind one context are one.
    context = np.concatenate([np.tile([10, 60], 256).reshape(-1, 2), np.arange(256)[:, None]], axis=1)
    each = [Recording(0, 0, 0, mu_law.decode(row)) for row in context]
    last = baselines.ngram_bits(train, each, order=3)
    first = baselines.ngram_bits(train, [Recording(0, 0, 0, mu_law.decode(np.array([10, 60])))], order=3)
    assert np.exp2(-(last - first)).sum() == pytest.approx(1)


def test_linear_prediction_foresees_tones_and_not_noise():
    time = np.arange(4000)
    tone = (0.5 * np.sin(0.2 * time) + 0.2 * np.sin(0.45 * time)).astype(np.float32)
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 4000).astype(np.float32)
    bits = baselines.prediction_bits([Recording(0, 0, 0, tone), Recording(0, 0, 0, noise)], order=16) / 4000
    assert bits[0] < 3
    assert 5.5 < bits[1] < 8
    odds = [
        baselines._odds(*(np.array([v]) for v in (low, high, 0.3, 0.01)))[0]
        for low, high in zip(baselines._borders()[:-1], baselines._borders()[1:], strict=True)
    ]
    assert sum(odds) == pytest.approx(1, abs=1e-6)
