"""Data sets at a smaller size."""

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import open_dataset
from zoo.datasets.shrunk import shrink
from zoo.errors import InputError


def save_sample(folder, image, mask):
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    Image.fromarray(image).save(folder / "images" / "a.png")
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    return open_dataset("folder", folder, split="all", classes=3)


def test_shrunk_images_and_masks_stay_aligned(tmp_path):
    """A ramp stays the ramp below the centres of the larger pixels; the mask has the label there."""
    ramp = np.repeat(np.arange(24, dtype=np.uint8)[np.newaxis] * 10, 18, axis=0)
    mask = np.where(np.arange(24) < 12, 1, 2)[np.newaxis].repeat(18, axis=0).astype(np.uint8)
    dataset = save_sample(tmp_path, np.stack([ramp] * 3, axis=-1), mask)
    small = shrink(dataset, (9, 100))
    image, found = small.read(0)
    assert image.shape == (9, 12, 3) and image.dtype == np.uint8 and found.dtype == np.int32
    np.testing.assert_array_equal(image[4, 1:-1, 0], np.arange(1, 11) * 20 + 5)
    np.testing.assert_array_equal(found, np.where(np.arange(12) < 6, 1, 2)[np.newaxis].repeat(9, axis=0))
    assert (small.name, small.split, small.label_set, len(small)) == ("folder", "all", dataset.label_set, 1)


def test_small_images_are_not_enlarged(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    dataset = save_sample(tmp_path, image, np.ones((6, 8), np.uint8))
    np.testing.assert_array_equal(shrink(dataset, (6, 9)).read(0)[0], image)
    for limit in ((0, 5), (3,), (2.5, 4)):
        with pytest.raises(InputError, match="a size is a height and a width"):
            shrink(dataset, limit)
