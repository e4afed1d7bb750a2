"""What several tests of exports need."""

import pytest
from PIL import Image

from zoo.export.proof.parity import synthetic_image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of eight photographs of another size, none of them with black or white in it."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(8):
        grey = 64 + synthetic_image(50, 70, seed=seed) // 2
        Image.fromarray(grey).save(folder / f"{seed}.png")
    return folder
