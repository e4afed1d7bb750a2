"""The pictures of the gallery against the models that they show."""

import numpy as np
import pytest
from PIL import Image
from support.code_blocks import REPOSITORY

import zoo
from zoo.models import registry

BUNDLED = [entry for spec in registry.MODELS for entry in spec.weights if entry.bundled]
PHOTO = REPOSITORY / "examples" / "city.jpg"


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.key)
def test_the_pictures_are_what_the_models_see(entry):
    overlay = zoo.segment(zoo.load(entry.model, entry.tag), PHOTO).overlay().astype(int)
    with Image.open(REPOSITORY / "docs" / "gallery" / f"{entry.model}_{entry.tag}.jpg") as picture:
        shown = np.asarray(picture).astype(int)
    # JPEG at quality 85 is off by two to four grey levels in the mean; another mask is by eleven.
    assert shown.shape == overlay.shape and np.abs(shown - overlay).mean() < 5
