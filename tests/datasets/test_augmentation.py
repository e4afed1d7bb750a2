"""Scale, crop, flip and colour: image and mask stay together, labels stay exact."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from zoo.datasets import Augmentation
from zoo.datasets.transform import Window, drawn, transform
from zoo.datasets.window import cut
from zoo.errors import InputError

FILL = (10.0, 20.0, 30.0)
IGNORE = 255
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
RNG = np.random.default_rng(0)


@tf.function(reduce_retracing=True)
def _run(image, mask, key, *, crop, augment):
    return transform(image, mask, crop=crop, augment=augment, key=key, fill=FILL, ignore_label=IGNORE)


def run(image, mask, *, crop=None, augment=None, key=(0, 0)):
    image, mask = tf.constant(image, tf.uint8), tf.constant(mask, tf.int32)
    return [x.numpy() for x in _run(image, mask, tf.constant(key, tf.int32), crop=crop, augment=augment)]


def sample(height, width):
    """An image whose red channel is 10 times the label, in blocks of 4 pixels."""
    blocks = RNG.integers(0, 20, (-(-height // 4), -(-width // 4)))
    mask = blocks.repeat(4, 0).repeat(4, 1)[:height, :width]
    return np.stack([10 * mask, 0 * mask + 100, 255 - 10 * mask], -1).astype(np.uint8), mask


def test_nothing_to_do_changes_nothing():
    image, mask = sample(9, 13)
    found, labels = run(image, mask)
    np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(labels, mask)
    assert (found.dtype, labels.dtype) == (np.float32, np.int32)


@pytest.mark.parametrize("crop", [(5, 6), (9, 13), (16, 20), (4, 40), (1, 1)])
def test_without_augmentation_the_crop_is_the_middle(crop):
    image, mask = sample(9, 13)
    found, labels = run(image, mask, crop=crop)
    expected = np.empty((*crop, 3), np.float32)
    expected[:] = FILL
    truth = np.full(crop, IGNORE)
    # Of an odd difference the larger half is above and on the left.
    rooms = [n - m for n, m in zip(crop, mask.shape, strict=True)]
    places = [(abs(room) + 1) // 2 * (1 if room > 0 else -1) for room in rooms]
    for y in range(crop[0]):
        for x in range(crop[1]):
            source = y - places[0], x - places[1]
            if all(0 <= i < n for i, n in zip(source, mask.shape, strict=True)):
                expected[y, x], truth[y, x] = image[source], mask[source]
    np.testing.assert_array_equal(labels, truth)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_random_crops_are_parts_of_the_image_or_hold_all_of_it():
    image, mask = sample(24, 40)
    augment = Augmentation(scale=(1.0, 1.0), **STILL)
    seen = set()
    for number in range(90):
        found, labels = run(image, mask, crop=(16, 48), augment=augment, key=(3, number))
        columns = np.flatnonzero((labels != IGNORE).any(0))
        assert (len(columns), columns[-1] - columns[0]) == (40, 39)
        np.testing.assert_array_equal(found[:, [c for c in range(48) if c not in columns]] - FILL, 0)
        inner, truth = found[:, columns], labels[:, columns]
        for mirrored in (False, True):
            source, labels_of = (image[:, ::-1], mask[:, ::-1]) if mirrored else (image, mask)
            for top in range(9):
                if np.array_equal(truth, labels_of[top : top + 16]):
                    np.testing.assert_allclose(inner, source[top : top + 16], atol=1e-3)
                    seen.add((top, int(columns[0]), mirrored))
    # Every place and both directions occur.
    assert {top for top, _, _ in seen} == set(range(9))
    assert {left for _, left, _ in seen} == set(range(9))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.37, 2.0])
def test_scaling_is_that_of_tensorflow_and_labels_are_nearest(scale):
    image, mask = sample(40, 56)
    size = [round(n * scale) for n in mask.shape]
    augment = Augmentation(scale=(scale, scale), flip=False, **STILL)
    found, labels = run(image, mask, crop=tuple(size), augment=augment)
    resized = tf.image.resize(image[None].astype(np.float32), size, antialias=True)[0]
    np.testing.assert_allclose(found, resized, atol=2e-3)
    rows, columns = ((2 * np.arange(m) + 1) * n // (2 * m) for m, n in zip(size, mask.shape, strict=True))
    np.testing.assert_array_equal(labels, mask[np.ix_(rows, columns)])


def test_image_and_mask_stay_together_and_no_label_is_invented():
    image, mask = sample(48, 64)
    augment = Augmentation(scale=(0.5, 2.0), **STILL)
    for number in range(20):
        found, labels = run(image, mask, crop=(40, 40), augment=augment, key=(number, 1))
        assert set(np.unique(labels)) <= {*range(20), IGNORE}
        inside = labels != IGNORE
        np.testing.assert_allclose(found[~inside] - FILL, 0)
        # Only where blocks meet does bilinear resampling mix the colours of two labels.
        close = np.abs(found[..., 0] - 10 * labels)[inside] < 1
        assert close.mean() > 0.2
        assert np.median(np.abs(found[..., 0] - 10 * labels)[inside]) < 25
        assert np.corrcoef(found[..., 0][inside], labels[inside])[0, 1] > 0.9


def test_scales_cover_their_range():
    image, mask = sample(64, 64)
    augment = Augmentation(scale=(0.5, 1.0), flip=False, **STILL)
    sides = [
        int((run(image, mask, crop=(64, 64), augment=augment, key=(n, 0))[1] != IGNORE).any(1).sum())
        for n in range(40)
    ]
    assert min(sides) in range(32, 38)
    assert max(sides) in range(58, 65)
    assert len(set(sides)) > 12


def grey_of(image):
    return image @ np.array([0.2989, 0.587, 0.114])


def test_brightness_shifts_all_pixels_alike():
    image, mask = np.full((8, 8, 3), 128), np.zeros((8, 8))
    augment = Augmentation(scale=(1, 1), flip=False, **STILL | {"brightness": 0.2})
    shifts = [run(image, mask, augment=augment, key=(n, 0))[0] - 128 for n in range(60)]
    assert all(np.ptp(shift) == 0 for shift in shifts)
    values = [float(shift[0, 0, 0]) for shift in shifts]
    assert -51.01 <= min(values) < -40
    assert 40 < max(values) <= 51.01


def test_contrast_keeps_the_mean_grey():
    image = RNG.integers(90, 170, (8, 8, 3))
    augment = Augmentation(scale=(1, 1), flip=False, **STILL | {"contrast": 0.5})
    mean, factors = grey_of(image).mean(), []
    for number in range(40):
        found = run(image, np.zeros((8, 8)), augment=augment, key=(number, 0))[0]
        ratio = (found - mean)[np.abs(image - mean) > 5] / (image - mean)[np.abs(image - mean) > 5]
        assert np.ptp(ratio) < 0.02
        factors.append(ratio.mean())
    assert 0.49 < min(factors) < 0.65
    assert 1.35 < max(factors) < 1.51


def test_padding_does_not_count_for_the_contrast():
    image = RNG.integers(90, 170, (8, 8, 3))
    augment = Augmentation(scale=(1, 1), flip=False, **STILL | {"contrast": 0.5})
    alone = run(image, np.zeros((8, 8)), augment=augment, key=(5, 6))[0]
    padded, labels = run(image, np.zeros((8, 8)), augment=augment, crop=(8, 20), key=(5, 6))
    np.testing.assert_allclose(padded[labels == 0].reshape(8, 8, 3), alone, atol=0.05)
    np.testing.assert_array_equal(padded[labels == IGNORE] - FILL, 0)


def test_saturation_keeps_each_grey_and_hue_keeps_the_extremes():
    image, mask = RNG.integers(90, 170, (8, 8, 3)), np.zeros((8, 8))
    more = Augmentation(scale=(1, 1), flip=False, **STILL | {"saturation": 0.5})
    found = run(image, mask, augment=more, key=(1, 2))[0]
    np.testing.assert_allclose(grey_of(found), grey_of(image), atol=0.05)
    assert np.abs(found - image).max() > 1
    turned = Augmentation(scale=(1, 1), flip=False, **STILL | {"hue": 0.5})
    found = run(image, mask, augment=turned, key=(1, 2))[0]
    np.testing.assert_allclose(found.max(-1), image.max(-1), atol=0.05)
    np.testing.assert_allclose(found.min(-1), image.min(-1), atol=0.05)
    assert np.abs(found - image).max() > 1


def test_values_stay_in_range_and_grey_pixels_grey():
    image = np.stack([RNG.integers(0, 256, (16, 16))] * 3, -1)
    augment = Augmentation(brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5)
    for number in range(20):
        found = run(image, np.zeros((16, 16)), augment=augment, crop=(12, 12), key=(number, 9))[0]
        assert found.min() >= 0
        assert found.max() <= 255


def test_the_key_decides():
    image, mask = sample(32, 32)
    augment = Augmentation()
    first = run(image, mask, crop=(24, 24), augment=augment, key=(1, 2))
    again = run(image, mask, crop=(24, 24), augment=augment, key=(1, 2))
    other = run(image, mask, crop=(24, 24), augment=augment, key=(1, 3))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (0, 1)},
        {"scale": (2, 1)},
        {"scale": 1.0},
        {"scale": (1, float("nan"))},
        {"brightness": 1.5},
        {"contrast": -0.1},
        {"saturation": "much"},
        {"hue": 0.6},
        {"hue": True},
    ],
)
def test_ranges_are_checked(options):
    (name,) = options
    with pytest.raises(InputError, match=name):
        Augmentation(**options)


@pytest.mark.parametrize("augment", [None, Augmentation(scale=(0.4, 2.5)), Augmentation(scale=(0.05, 0.2))])
@pytest.mark.parametrize("crop", [(33, 65), (300, 40)])
def test_a_window_of_a_large_image_gives_what_the_whole_does(augment, crop):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((40, 40, 1), np.uint8))
    mask = np.kron(random.integers(0, 5, (80, 120), dtype=np.uint8), np.ones((20, 20), np.uint8))
    smallest = 1.0
    for number in range(12):
        key = tf.constant([number, 7])
        options = {"crop": crop, "augment": augment, "key": key, "fill": FILL, "ignore_label": IGNORE}
        whole = transform(tf.constant(image), tf.constant(mask, tf.int32), **options)
        part, labels, size, origin = cut(image, mask, draws=drawn(key).numpy(), crop=crop, augment=augment)
        smallest = min(smallest, labels.size / mask.size)
        window = Window(tf.constant(size), tf.constant(origin))
        found = transform(tf.constant(part), tf.constant(labels, tf.int32), window=window, **options)
        np.testing.assert_array_equal(found[1], whole[1])
        np.testing.assert_allclose(found[0], whole[0], atol=0.05)
    assert smallest < 0.5
