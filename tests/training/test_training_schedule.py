import keras
import numpy as np
import pytest

from zoo.errors import InputError
from zoo.training.schedule import Cosine, Poly


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_poly_is_the_formula():
    steps = np.array([0, 10, 55, 99, 100, 200])
    done = np.minimum(steps / 100, 1)
    expected = 1e-4 + (0.02 - 1e-4) * (1 - done) ** 0.9
    schedule = Poly(learning_rate=0.02, steps=100, final=1e-4)
    np.testing.assert_allclose(rates(schedule, steps), expected, rtol=1e-5)


def test_cosine_is_the_formula():
    steps = np.array([0, 25, 50, 100])
    expected = 0.5 * 0.02 * (1 + np.cos(np.pi * steps / 100))
    np.testing.assert_allclose(rates(Cosine(learning_rate=0.02, steps=100), steps), expected, atol=1e-9)


@pytest.mark.parametrize("kind", [Poly, Cosine])
def test_warm_up_rises_linearly_to_the_full_rate(kind):
    schedule = kind(learning_rate=0.4, steps=20, warmup=4)
    np.testing.assert_allclose(rates(schedule, range(5)), [0.1, 0.2, 0.3, 0.4, 0.4], rtol=1e-6)
    assert rates(schedule, [19])[0] < 0.05


@pytest.mark.parametrize("kind", [Poly, Cosine])
def test_schedules_are_serializable(kind):
    schedule = kind(learning_rate=0.4, steps=20, warmup=4, final=0.01)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    np.testing.assert_array_equal(rates(copy, range(25)), rates(schedule, range(25)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"steps": 0},
        {"warmup": 10},
        {"final": 2.0},
        {"power": 0.0},
    ],
)
def test_bad_values_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Poly(**{"learning_rate": 0.1, "steps": 10, **wrong})
