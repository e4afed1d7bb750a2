"""The learning rate where a recipe gives none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.recipe_program import small_network

import zoo
from zoo.datasets import Augmentation, open_dataset
from zoo.models.heads.classifier import has_trained_classifier
from zoo.models.surgery import with_classes
from zoo.training import Recipe
from zoo.training.rates import with_rate

TUNED = (
    "learning rate {}, as none is given: the classifier is trained already, "
    "and batches have fewer than 4 images"
)


@pytest.fixture(scope="module")
def bundled():
    return zoo.load("deeplabv3_aspp")


def rate_of(recipe, model):
    notes = []
    return with_rate(recipe, model, note=notes.append).learning_rate, notes


@pytest.mark.parametrize(
    ("batch", "accumulate", "rate"),
    [(1, 1, 1.25e-5), (2, 1, 2.5e-5), (1, 4, 5e-5), (3, 8, 1e-4), (4, 1, 1e-3)],
)
def test_small_batches_train_gently_on_what_is_trained(bundled, batch, accumulate, rate):
    recipe = Recipe(batch_size=batch, accumulate=accumulate)
    found, notes = rate_of(recipe, bundled)
    assert found == pytest.approx(rate) and notes == [TUNED.format(f"{rate:.3g}")] * (batch < 4)
    assert rate_of(replace(recipe, learning_rate=0.5), bundled) == (0.5, [])


def test_a_fresh_classifier_has_the_usual_rate(bundled):
    fresh = with_classes(bundled, zoo.labels.numbered(5))
    assert has_trained_classifier(bundled) and not has_trained_classifier(fresh)
    assert rate_of(Recipe(batch_size=1), fresh) == (1e-3, [])
    assert Recipe(batch_size=1).rate() == 1e-3


def test_the_run_has_it(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    pixels = np.random.default_rng(0).integers(0, 2, (2, 16, 16), dtype=np.uint8)
    for index, mask in enumerate(pixels):
        Image.fromarray(mask * 255).convert("RGB").save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{index}.png")
    data = open_dataset("folder", tmp_path, split="all", classes=2)
    model = small_network("small", classes=data.label_set)
    model.get_layer("classifier").bias.assign([0.5, -0.5])
    recipe = Recipe(epochs=1, batch_size=1, crop=(16, 16), augmentation=Augmentation(scale=(1, 1)))
    notes = []
    history = zoo.train(model, data, recipe, output=tmp_path / "run", examples=0, note=notes.append)
    assert TUNED.format("1.25e-05") in notes
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["learning_rate"] == pytest.approx(
        1.25e-5
    )
    assert history.training[0]["learning_rate"] <= 1.25e-5
