"""A run goes on as it was begun, or not at all."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.training_fixtures import tiny_model

from zoo.datasets import Augmentation, open_dataset
from zoo.errors import InputError
from zoo.training import Recipe, train

QUIET = {"scale": (1.0, 1.0), "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
BASE = Recipe(epochs=1, batch_size=2, crop=(16, 16), augmentation=Augmentation(**QUIET))


def folder(path: Path, *, seed=0, size=16, classes="a\nb\nc") -> Path:
    """A data set of six images."""
    random = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for index in range(6):
        pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / "images" / f"{index}.png")
        mask = random.integers(0, 3, (size, size), dtype=np.uint8)
        Image.fromarray(mask).save(path / "masks" / f"{index}.png")
    (path / "classes.txt").write_text(classes)
    return path


def opened(path: Path, split="train", **options):
    return open_dataset("folder", path, split=split, **options)


def run(data, output, *, recipe=BASE, validation=None, notes=None):
    said = [] if notes is None else notes
    options = {"validation": validation, "output": output, "examples": 0, "note": said.append}
    return train(tiny_model(dropout=0), data, recipe, **options)


@pytest.fixture
def begun(tmp_path):
    """A data set, and a run of one epoch over it."""
    data = folder(tmp_path / "data")
    run(opened(data), tmp_path / "run")
    return data, tmp_path / "run"


def test_the_same_run_goes_on_without_a_word(begun):
    data, output = begun
    notes = []
    assert run(opened(data), output, notes=notes).stopped == "finished"
    assert notes == []


def test_names_in_another_order_are_refused(begun):
    data, output = begun
    final = (output / "final.keras").read_bytes()
    other = opened(data, classes=["b", "a", "c"])
    with pytest.raises(
        InputError,
        match=r"holds another run: .*classes of the data was \['a', 'b', 'c'\], now is \['b', 'a', 'c'\]",
    ):
        run(other, output)
    assert (output / "final.keras").read_bytes() == final


def test_another_data_set_of_as_many_classes_is_refused(begun, tmp_path):
    _, output = begun
    other = folder(tmp_path / "other", seed=1, size=24)
    with pytest.raises(InputError, match=r"4 of 5 samples|5 of 5 samples"):
        run(opened(other), output)
    renamed = folder(tmp_path / "renamed")
    for part in ("images", "masks"):
        (renamed / part / "0.png").rename(renamed / part / "zero.png")
    with pytest.raises(InputError, match=r"files of the data was '[0-9a-f]+', now is '[0-9a-f]+'"):
        run(opened(renamed, split="all"), output)


def test_labels_with_another_meaning_are_refused(begun):
    data, output = begun
    with pytest.raises(InputError, match=r"labels of the data was"):
        run(opened(data, mapping={2: 1}), output)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 1}, "batch_size of the recipe was 2, now is 1"),
        ({"seed": 4}, "seed of the recipe was 0, now is 4"),
        ({"loss": {"dice": 1.0}}, "loss of the recipe was"),
    ],
)
def test_another_recipe_is_refused(begun, changes, said):
    data, output = begun
    with pytest.raises(InputError, match=said):
        run(opened(data), output, recipe=dataclasses.replace(BASE, **changes))


def test_harmless_changes_are_listed(begun):
    data, output = begun
    notes, recipe = [], dataclasses.replace(BASE, epochs=2, learning_rate=1e-4)
    history = run(opened(data), output, recipe=recipe, notes=notes)
    assert history.step == 2 * (len(opened(data)) // 2)
    (line,) = notes
    assert (
        "epochs of the recipe was 1, now is 2; learning_rate of the recipe was 0.001, now is 0.0001" in line
    )
    assert json.loads((output / "run.json").read_text())["recipe"]["epochs"] == 2


def test_a_mended_file_is_listed(begun):
    data, output = begun
    first = opened(data).pairs[0][0]
    first.write_bytes(first.read_bytes() + bytes(1))  # a byte behind the end of the picture
    notes = []
    run(opened(data), output, notes=notes)
    assert notes == [f"{output} goes on with 1 of 5 samples of the data have files of another size"]


def test_a_folder_that_moved_is_the_same_data(begun, tmp_path):
    data, output = begun
    data.rename(tmp_path / "moved")
    assert run(opened(tmp_path / "moved"), output).stopped == "finished"


def test_another_network_is_refused(begun):
    data, output = begun
    model = tiny_model(dropout=0.5)
    with pytest.raises(InputError, match=r"layers of the model was"):
        train(model, opened(data), BASE, output=output, examples=0)


def test_a_damaged_record_is_an_error_of_one_line(begun):
    data, output = begun
    (output / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run.json is damaged"):
        run(opened(data), output)
