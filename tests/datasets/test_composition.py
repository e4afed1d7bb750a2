"""Crops around rare classes, and pasted things of theirs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import Augmentation, batches
from zoo.datasets.composition import Composer
from zoo.datasets.dataset import Dataset
from zoo.errors import InputError
from zoo.labels import LabelSet

LABELS = LabelSet("three", ("ground", "sky", "pole"), ((0, 0, 0), (9, 9, 9), (99, 9, 9)), 255)
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


@pytest.fixture
def data(tmp_path):
    """Four images of 40×60, of which the first has a pole: 12 pixels of the colour 200."""
    pairs = []
    for number in range(4):
        mask = np.zeros((40, 60), np.uint8)
        mask[:20] = 1
        if number == 0:
            mask[4:10, 50:52] = 2
        image = np.full((40, 60, 3), 10 * number, np.uint8)
        image[mask == 2] = 200
        paths = tmp_path / f"a_{number}.png", tmp_path / f"m_{number}.png"
        for array, path in zip((image, mask), paths, strict=True):
            Image.fromarray(array).save(path)
        pairs.append(paths)
    return Dataset("folder", "train", LABELS, tuple(pairs))


def stream(data, **augment):
    options = {"batch_size": 4, "crop": (12, 12), "shuffle": True, "seed": 1, "repeat": 30}
    for image, mask in batches(data, augment=Augmentation(**STILL, **augment), **options):
        yield from zip(image.numpy(), mask.numpy(), strict=True)


def shares(data, **augment):
    return np.mean([(mask == 2).any() for _, mask in stream(data, scale=(1, 1), **augment)])


def test_crops_meet_the_rare_class_more_often(data):
    assert shares(data) < 0.15
    found = shares(data, rare=1.0)
    assert found == 0.25  # each crop of the one image that has a pole, mirrored or not


@pytest.mark.parametrize("scale", [(0.25, 0.3), (0.5, 3.0)])
def test_aimed_crops_hold_the_pixel_at_every_scale(data, scale):
    for image, mask in stream(data, rare=1.0, scale=scale):
        assert image.shape == (12, 12, 3) and set(np.unique(mask)) <= {0, 1, 2, 255}
    if scale[0] == 0.5:
        assert np.mean([(mask == 2).any() for _, mask in stream(data, rare=1.0, scale=scale)]) > 0.2


def test_pasted_pixels_bring_their_label(data):
    held = 0
    for image, mask in stream(data, paste=1.0, rare=1.0, scale=(1, 1)):
        pole = mask == 2
        held += pole.any()
        np.testing.assert_array_equal(image[pole], 200)
        assert (image[~pole] != 200).all()
    assert held == 120  # every image has one now


def test_a_stream_repeats_itself_and_its_source_stays(data):
    before = [data.read_bytes(index) for index in range(4)]
    one, two = (list(stream(data, paste=0.5, rare=0.5, scale=(0.5, 2))) for _ in range(2))
    for (image, mask), (image2, mask2) in zip(one, two, strict=True):
        np.testing.assert_array_equal(image, image2)
        np.testing.assert_array_equal(mask, mask2)
    compose = Composer(data, augment=Augmentation(paste=1.0), crop=(9, 9), read=lambda index: before[index])
    images = [image.copy() for image, _ in before]
    for number in range(20):
        compose(before[number % 4], np.linspace(0.01 * number, 0.9, 8).astype(np.float32))
    for (image, _), kept in zip(before, images, strict=True):
        np.testing.assert_array_equal(image, kept)


def test_other_sizes_are_not_pasted(data):
    small = (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    compose = Composer(data, augment=Augmentation(paste=1.0), crop=(4, 4), read=data.read_bytes)
    image, mask, _ = compose(small, np.zeros(8, np.float32))
    assert not image.any() and not mask.any()


def test_no_rare_class_and_no_crop(data):
    with pytest.raises(InputError, match="need a class below 2% of the pixels, of which train has none"):
        batches(
            Dataset("folder", "train", LABELS, data.pairs[1:]),
            batch_size=1,
            crop=(9, 9),
            augment=Augmentation(rare=0.5),
        )
    with pytest.raises(InputError, match="need a crop"):
        batches(data, batch_size=1, augment=Augmentation(scale=(1, 1), paste=0.5))
