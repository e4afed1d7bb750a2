"""The digit speaker that the package brings along."""

import numpy as np
import pytest

import zoo
from zoo.sequence.digits import baselines
from zoo.sequence.digits.likelihood import network_bits, per_sample
from zoo.sequence.digits.recordings import read_recordings
from zoo.weights import catalog
from zoo.weights.fetch import bundled_path, fetch


@pytest.fixture(scope="module")
def model():
    return zoo.load("wavenet_digits")


def test_the_file_is_what_its_entry_says():
    entry = catalog.find("wavenet_digits", "fsdd")
    assert fetch(entry) == bundled_path(entry)
    assert bundled_path(entry).stat().st_size <= 1_000_000


def test_it_speaks_and_ends(model):
    """As long as a digit is, neither silent nor noise, and another one for another voice."""
    found = {s: zoo.generate(model, digit=7, speaker=s, seed=0) for s in ("theo", "jackson")}
    for one in found.values():
        assert one.ended
        assert 0.15 < len(one.samples) / one.rate < 1.2
        assert 0.005 < np.abs(one.samples).max() <= 1
        # Speech has most of its power below 1 kHz, noise a quarter.
        power = np.square(np.abs(np.fft.rfft(one.samples)))
        assert power[: len(power) // 4].sum() > 0.6 * power.sum()
    assert len(found["theo"].samples) != len(found["jackson"].samples)


def test_it_foresees_recordings_that_it_has_not_heard(model, data_dir):
    """Ten of the test set: fewer bits than linear prediction, and more where it is told another digit."""
    path = data_dir / "sequence" / "free_spoken_digits.zip"
    if not path.is_file():
        pytest.skip(f"recordings are absent: {path}")
    test = read_recordings(path, [0])[::6]
    right, wrong = network_bits(
        model, test, conditions=[lambda ids: ids, lambda ids: ((ids[0] + 5) % 10, ids[1])]
    )
    bits = per_sample(right, test)
    assert bits < per_sample(baselines.prediction_bits(test, order=8), test) - 0.5
    assert bits < per_sample(wrong, test)
