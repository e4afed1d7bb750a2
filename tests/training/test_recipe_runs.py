"""Runs by a recipe: from Python, and again from the file that a run leaves."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from support.drawn_images import draw_squares
from support.recipe_program import small_network

import zoo
from zoo.datasets import check, open_dataset
from zoo.errors import InputError
from zoo.labels import numbered
from zoo.training import Recipe
from zoo.training.runs import class_weights

PROGRAM = Path(__file__).parents[1] / "support" / "recipe_program.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = draw_squares(tmp_path_factory.mktemp("recipe") / "data")
    (folder / "classes.txt").write_text("ground\nsquare\n")
    return folder


def parts(folder):
    return [open_dataset("folder", folder, split=split) for split in ("train", "val")]


def train(folder, output, *words):
    fixed = ["train", "small", "--dataset", "folder", "--data", folder, "--output", output]
    command = [sys.executable, PROGRAM, *fixed, "--weights", "none", *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return keras.models.load_model(output / "final.keras", compile=False).get_weights()


def test_a_saved_recipe_makes_the_same_weights_to_the_bit(data, tmp_path):
    words = ["--epochs", 3, "--batch-size", 2, "--crop", "24x32", "--learning-rate", 0.02, "--seed", 7]
    words += ["--schedule", "cosine", "--warmup", 0.5, "--loss", "cross-entropy+0.5*lovasz", "--average", 0.9]
    words += ["--label-smoothing", 0.1, "--balance", "--auxiliary", "--clip-norm", 1, "--scale", "0.75,1.5"]
    words += ["--no-flip", "--hue", 0, "--accumulate", 2, "--backbone-factor", 0.5, "--weight-decay", 1e-3]
    first = train(data, tmp_path / "first", *words)
    again = train(data, tmp_path / "again", "--recipe", tmp_path / "first" / "recipe.json")
    assert len(first) == len(again)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    kept = [(tmp_path / run / "recipe.json").read_bytes() for run in ("first", "again")]
    assert kept[0] == kept[1] and json.loads(kept[0])["seed"] == 7
    scores = [(tmp_path / run / "validation.csv").read_text() for run in ("first", "again")]
    assert scores[0] == scores[1]


def test_train_from_python(data, tmp_path):
    training, validation = parts(data)
    keras.utils.set_random_seed(0)
    model = small_network("small", classes=training.label_set)
    before = model.get_weights()
    recipe = Recipe(epochs=2, batch_size=2, crop=(32, 32), learning_rate=0.02)
    history = zoo.train(model, training, recipe, validation=validation, output=tmp_path)
    assert (history.step, history.stopped, len(history.validation)) == (6, "finished", 2)
    assert set(history.validation[0]) == {"step", "miou", "pixel_accuracy"}
    assert Recipe.read(tmp_path / "recipe.json") == recipe
    final = keras.models.load_model(tmp_path / "final.keras", compile=False)
    for one, two, old in zip(final.get_weights(), model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not old.size or not np.array_equal(one, old)
    assert (tmp_path / "best.keras").is_file()


def test_train_writes_nothing_without_a_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training, _ = parts(data)
    model = small_network("small", classes=training.label_set)
    recipe = Recipe(epochs=1, batch_size=2, crop=(32, 32))
    history = zoo.train(model, training, recipe)
    assert history.step == 3 and history.validation == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"batch_size": 99}, {}, "a batch no larger than the data: 99 is more than 6 images"),
        ({"warmup": 50}, {}, "warmup must be"),
        ({"patience": 2}, {}, "needs a validation"),
        ({"freeze": ["decoder"]}, {}, "nothing to freeze at 'decoder'"),
        ({}, {"examples": -1}, "examples must be 0 or more, not -1"),
    ],
)
def test_what_does_not_go_together(data, changes, options, message):
    training, _ = parts(data)
    model = small_network("small", classes=training.label_set)
    recipe = Recipe(**{"epochs": 2, "batch_size": 2, "crop": (32, 32), **changes})
    with pytest.raises(InputError, match=message):
        zoo.train(model, training, recipe, **options)


def test_what_is_of_another_kind(data):
    training, _ = parts(data)
    model, recipe = small_network("small", classes=training.label_set), Recipe(batch_size=2, crop=(32, 32))
    with pytest.raises(InputError, match=r"recipe must be a zoo\.Recipe, not \{'epochs': 3\}"):
        zoo.train(model, training, {"epochs": 3})
    with pytest.raises(InputError, match=r"^data must be what zoo\.datasets.* not 'data/'"):
        zoo.train(model, "data/", recipe)
    with pytest.raises(InputError, match="validation must be what"):
        zoo.train(model, training, recipe, validation=data)
    with pytest.raises(InputError, match="the model has 3 classes and the data 2"):
        zoo.train(small_network("small", classes=numbered(3)), training, recipe)


def test_weights_of_classes_are_those_of_the_check(data):
    training, _ = parts(data)
    (report,) = check(data, kind="folder", splits=["train"]).splits
    assert class_weights(training) == report.weights
    assert len(set(report.weights)) == 2
