"""Changes of light and camera: ranges, borders, and that nothing changes unless it is asked for."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from zoo.datasets import Augmentation
from zoo.datasets.photometric import photometric
from zoo.datasets.transform import transform
from zoo.errors import InputError

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
RNG = np.random.default_rng(3)
IMAGE = RNG.uniform(20, 200, (24, 32, 3)).astype(np.float32)


def change(image, number, **ranges):
    augment = Augmentation(**STILL, **ranges)
    return photometric(tf.constant(image), augment, tf.constant([5, number], tf.int32)).numpy()


def test_the_usual_augmentation_has_none_of_it():
    usual = Augmentation()
    assert not usual.photometric and not usual.composed
    for name in ("gamma", "gain", "shadow", "blur", "noise", "rare", "paste"):
        assert getattr(usual, name) == 0.0


def test_gamma_is_a_power_within_its_range():
    powers = []
    for number in range(40):
        found = np.log(change(IMAGE, number, gamma=1.0) / 255) / np.log(IMAGE / 255)
        assert np.ptp(found) < 1e-3
        powers.append(np.log2(found.mean()))
    assert -1 <= min(powers) < -0.7 and 0.7 < max(powers) <= 1


def test_each_channel_has_a_gain_of_its_own():
    gains = []
    for number in range(40):
        ratio = change(IMAGE, number, gain=0.2) / IMAGE
        assert np.ptp(ratio, axis=(0, 1)).max() < 1e-4
        gains.append(ratio[0, 0])
    gains = np.array(gains)
    assert 0.8 <= gains.min() < 0.86 and 1.14 < gains.max() <= 1.2
    assert np.ptp(gains, axis=1).min() > 1e-3


def test_a_shadow_darkens_one_side_of_every_second_image():
    grey, changed = np.full((40, 60, 3), 100, np.float32), 0
    for number in range(60):
        found = change(grey, number, shadow=0.6)
        assert found.max() <= 100 + 1e-3 and found.min() >= 40 - 1e-3
        changed += found.min() < 99
        assert np.ptp(found, axis=-1).max() < 1e-4
    assert 15 <= changed <= 45


def test_blur_keeps_flat_images_and_means_and_smooths_steps():
    flat = np.full((20, 20, 3), 77, np.float32)
    step = np.zeros((40, 40, 3), np.float32)
    step[:, 20:] = 200
    blurred = 0
    for number in range(30):
        np.testing.assert_allclose(change(flat, number, blur=2.0), 77, atol=1e-3)
        found = change(step, number, blur=2.0)
        np.testing.assert_allclose(found.mean(), step.mean(), atol=0.5)
        np.testing.assert_allclose(found[0, 0], 0, atol=1e-3)  # the border repeats: nothing darkens
        np.testing.assert_allclose(found[:, -1], 200, atol=1e-3)
        blurred += found[5, 19, 0] > 5
    assert 5 <= blurred <= 25


def test_noise_has_its_deviation_and_no_pattern():
    grey, deviations = np.full((80, 80, 3), 128, np.float32), []
    for number in range(30):
        found = change(grey, number, noise=0.1)
        deviations.append(found.std())
        assert abs(found.mean() - 128) < 2
    assert max(deviations) <= 27 and max(deviations) > 15
    assert 5 <= sum(d == 0 for d in deviations) <= 25  # every second image has none


def test_one_key_one_change_and_padding_keeps_its_colour():
    ranges = {"gamma": 1.0, "gain": 0.2, "shadow": 0.5, "blur": 1.0, "noise": 0.1}
    augment = Augmentation(scale=(0.5, 0.5), **ranges)
    image, mask = tf.constant(IMAGE.astype(np.uint8)), tf.zeros(IMAGE.shape[:2], tf.int32)
    options = {"crop": (24, 32), "augment": augment, "fill": (1.0, 2.0, 3.0), "ignore_label": 255}
    one, labels = transform(image, mask, key=tf.constant([1, 2]), **options)
    again, _ = transform(image, mask, key=tf.constant([1, 2]), **options)
    other, _ = transform(image, mask, key=tf.constant([1, 3]), **options)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    outside = labels.numpy() == 255
    assert outside.any() and np.array_equal(one.numpy()[outside], np.tile([1, 2, 3], (outside.sum(), 1)))


@pytest.mark.parametrize("name", ["gamma", "gain", "shadow", "blur", "noise", "rare", "paste"])
@pytest.mark.parametrize("value", [-0.1, 11, True, "1", float("nan")])
def test_impossible_ranges(name, value):
    with pytest.raises(InputError, match=f"{name} lies between 0 and "):
        Augmentation(**{name: value})
