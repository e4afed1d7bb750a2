"""The last layer: what it interpolates, where pixels lie, and what it carries."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.labels import numbered
from zoo.layers.resize import SegmentationLogits, resize_bilinear


def logits_layer(classes=3, **options):
    return SegmentationLogits(
        **{"convention": "half_pixel", "label_set": numbered(classes), "name": "logits", **options}
    )


def scores(height, width, classes=3, spread=4.0):
    generator = np.random.default_rng(0)
    return (spread * generator.standard_normal((1, height, width, classes))).astype(np.float32)


def interpolate(line, positions):
    """Linear interpolation by definition, ends repeated."""
    positions = np.clip(positions, 0, len(line) - 1)
    return np.interp(positions, np.arange(len(line)), line)


@pytest.mark.parametrize(
    "convention, source",
    [
        ("half_pixel", lambda i: (i + 0.5) * 5 / 20 - 0.5),
        ("align_corners", lambda i: i * 4 / 19),
        ("asymmetric", lambda i: i / 4),
    ],
)
def test_places_of_pixels(convention, source):
    line = np.array([3.0, -1.0, 4.0, 1.0, -5.0], np.float32)
    got = resize_bilinear(line.reshape(1, 1, 5, 1), (1, 20), convention=convention)
    np.testing.assert_allclose(np.ravel(got), interpolate(line, source(np.arange(20))), atol=1e-5)


def test_probabilities_are_what_is_enlarged():
    x, image = scores(4, 5), np.zeros((1, 8, 10, 3), np.float32)
    got = tf.nn.softmax(logits_layer(domain="probabilities", factor=2)([x, image]))
    wanted = resize_bilinear(tf.nn.softmax(x), (8, 10), convention="half_pixel")
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    of_logits = tf.nn.softmax(logits_layer(factor=2)([x, image]))
    assert np.abs(got - of_logits).max() > 0.1


def test_certainty_stays_finite_forward_and_backward():
    x = tf.constant([[[[500.0, -500.0], [-500.0, 500.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = logits_layer(2, domain="probabilities")([x, tf.zeros((1, 1, 8, 3))])
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.ones((1, 1, 8), tf.int32), y)
    assert np.isfinite(y).all()
    assert np.isfinite(tape.gradient(loss, x)).all()
    assert y.numpy()[0, 0, :, 1].argmin() < 4 <= y.numpy()[0, 0, :, 1].argmax()


@pytest.mark.parametrize("size", [(8, 12), (5, 9), (8, 11)])
def test_a_factor_keeps_the_place_of_every_pixel(size):
    """The part of a padded image's result that the image covers, not the whole squeezed into it."""
    x = scores(2, 3)
    whole = resize_bilinear(x, (8, 12), convention="half_pixel")
    got = logits_layer(factor=4)([x, np.zeros((1, *size, 3), np.float32)])
    np.testing.assert_array_equal(got, whole[:, : size[0], : size[1]])


@pytest.mark.parametrize("size", [(9, 17), (6, 16), (8, 10)])
def test_a_factor_with_aligned_corners_keeps_cells_at_its_multiples(size):
    x = scores(3, 5)
    got = logits_layer(convention="align_corners", factor=4)([x, np.zeros((1, *size, 3), np.float32)])
    whole = resize_bilinear(x, (9, 17), convention="align_corners")
    np.testing.assert_array_equal(got, whole[:, : size[0], : size[1]])
    np.testing.assert_allclose(got[:, ::4, ::4], x[:, : (size[0] + 3) // 4, : (size[1] + 3) // 4], rtol=1e-6)


def test_it_survives_saving(tmp_path):
    image, x = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    model = keras.Model([x, image], logits_layer(domain="probabilities", factor=2)([x, image]))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    layer = again.get_layer("logits")
    assert (layer.domain, layer.factor) == ("probabilities", 2)
    inputs = [scores(4, 4), np.zeros((1, 7, 8, 3), np.float32)]
    np.testing.assert_array_equal(again(inputs), model(inputs))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"convention": "nearest"}, "convention must be one of half_pixel, align_corners, asymmetric"),
        ({"domain": "odds"}, "domain must be one of logits, probabilities, not 'odds'"),
        ({"factor": 0}, "factor must be a positive integer or None, not 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError, match=message):
        logits_layer(**options)


def test_shapes_that_cannot_be():
    with pytest.raises(InputError, match="2 labels for 3 channels"):
        logits_layer(2)([scores(4, 4), np.zeros((1, 4, 4, 3), np.float32)])
    with pytest.raises(InputError, match=r"2 times .* does not cover"):
        logits_layer(factor=2)([scores(4, 4), np.zeros((1, 9, 8, 3), np.float32)])
    with pytest.raises(InputError, match=r"2 times .* does not cover"):
        logits_layer(convention="align_corners", factor=2)([scores(4, 4), np.zeros((1, 7, 8, 3), np.float32)])
