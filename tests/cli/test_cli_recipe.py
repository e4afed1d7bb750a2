"""`--recipe FILE`: what a file says, what options change, and what --help tells."""

import argparse

import pytest
from support.drawn_images import draw_squares

from zoo import cli
from zoo.cli import recipe
from zoo.datasets import Augmentation
from zoo.errors import InputError
from zoo.training import Recipe

FILE = Recipe(
    epochs=5,
    crop=(65, 97),
    augmentation=Augmentation(flip=False, hue=0.1),
    balance=True,
    average=0.9,
    freeze=("backbone",),
    patience=3,
    learning_rate=0.01,
)


def chosen(*words, usual=recipe.AS_IT_IS):
    parser = argparse.ArgumentParser()
    recipe.add_options(parser, usual=usual)
    return recipe.recipe_of(parser.parse_args([str(word) for word in words]), usual=usual)


@pytest.fixture
def file(tmp_path):
    return FILE.save(tmp_path / "mine.yaml")


def test_without_options_it_is_the_usual_one():
    assert chosen() == Recipe()
    assert chosen(usual={"epochs": 10}) == Recipe(epochs=10)


def test_a_file_takes_the_place_of_what_is_usual(file):
    assert chosen("--recipe", file, usual={"epochs": 77, "seed": 5}) == FILE


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (("--epochs", 30), {"epochs": 30}),  # given, though it is the usual value
        (("--seed", 4, "--crop", "33x33"), {"seed": 4, "crop": (33, 33)}),
        (("--average", "none", "--patience", "none"), {"average": None, "patience": None}),
        (("--no-balance",), {"balance": False}),
        (("--freeze", "none"), {"freeze": ()}),
        (("--freeze", "aspp", "--freeze", "batch_norm"), {"freeze": ("aspp", "batch_norm")}),
        (("--loss", "ohem+dice", "--no-balance"), {"loss": {"ohem": 1.0, "dice": 1.0}, "balance": False}),
        (("--flip",), {"augmentation": Augmentation(flip=True, hue=0.1)}),
        (("--hue", 0), {"augmentation": Augmentation(flip=False, hue=0.0)}),
        (("--strategy", "one"), {}),
    ],
)
def test_options_that_are_given_change_the_file(file, words, changes):
    expected = Recipe.from_dict(FILE.to_dict() | {k: v for k, v in changes.items() if k != "augmentation"})
    if "augmentation" in changes:
        document = Recipe(augmentation=changes["augmentation"]).to_dict()["augmentation"]
        expected = Recipe.from_dict(expected.to_dict() | {"augmentation": document})
    assert chosen("--recipe", file, *words) == expected


def test_an_option_that_the_file_contradicts_is_told(file):
    with pytest.raises(InputError, match=r"^--balance and --label-smoothing belong .* which --loss leaves"):
        chosen("--recipe", file, "--loss", "dice")


def test_numbers_that_are_none(capsys):
    with pytest.raises(SystemExit):
        chosen("--average", "much")
    assert "argument --average: invalid float value: 'much'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "ablate", "compress"])
def test_help_tells_what_is_usual(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    epochs, rate = (10, "0.0002") if command == "compress" else (30, "0.001")
    assert f"passes over the data ({epochs})" in told and f"falling to 0 ({rate})" in told
    assert "--recipe FILE" in told and "==SUPPRESS==" not in told


@pytest.mark.parametrize("command", [("train", "small"), ("ablate", "hdc"), ("compress", "small")])
def test_a_damaged_file_is_one_line(tmp_path, capsys, command):
    draw_squares(tmp_path / "data")
    (tmp_path / "bad.json").write_text('{"epoch": 3}')
    words = ["--dataset", "folder", "--data", tmp_path / "data", "--classes", 2, "--output", tmp_path / "out"]
    words += ["--method", "prune"] if command[0] == "compress" else []
    assert cli.main([str(w) for w in (*command, *words, "--recipe", tmp_path / "bad.json")]) == 2
    error = capsys.readouterr().err
    assert "bad.json: a recipe has no 'epoch'; allowed are epochs" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
