"""A model computes as its layers say now, not as they said when it was first used."""

import numpy as np
import pytest
from support.training_fixtures import make_batches, pixel_loss, tiny_model, tiny_settings

import zoo
from zoo.models.loading import read_keras
from zoo.training.engine import fit
from zoo.training.modes import computing

PIXELS = np.random.default_rng(1).integers(0, 256, (33, 33, 3)).astype(np.uint8)


def probabilities(model):
    return zoo.segment(model, PIXELS).probabilities


def predicted(model):
    return model.predict(PIXELS[None].astype(np.float32), verbose=0)


@pytest.fixture
def model():
    return tiny_model()


@pytest.mark.parametrize("see", [probabilities, predicted])
def test_every_mode_has_a_trace_of_its_own(model, see):
    before = see(model)
    with computing(model, precision="bfloat16", synchronized=False):
        within = see(model)
    assert np.abs(within - before).max() > 0
    np.testing.assert_array_equal(see(model), before)


@pytest.mark.parametrize("used_before", [False, True])
def test_after_a_run_in_16_bits_it_is_the_model_of_its_file(model, tmp_path, used_before):
    if used_before:
        probabilities(model), predicted(model)
    scores = []

    def validate(trained):
        scores.append(probabilities(trained))
        return {"miou": 0.0, "pixel_accuracy": 0.0}

    settings = tiny_settings(2, epoch_steps=2, precision="bfloat16", ignore_label=255)
    fit(model, make_batches(size=33, batch=2), loss=pixel_loss, settings=settings, validate=validate)
    model.save(tmp_path / "m.keras")
    again = read_keras(tmp_path / "m.keras")
    np.testing.assert_allclose(probabilities(model), probabilities(again), atol=1e-6)
    np.testing.assert_allclose(predicted(model), predicted(again), rtol=1e-5, atol=1e-5)
    with computing(again, precision="bfloat16", synchronized=False):
        np.testing.assert_allclose(scores[-1], probabilities(again), atol=1e-6)
