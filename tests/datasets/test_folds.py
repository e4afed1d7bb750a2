"""Folds: whole drives, stretches, patterns and lists; no image on both sides."""

from pathlib import Path

import pytest

from zoo.datasets.dataset import Dataset
from zoo.datasets.folds import folds
from zoo.errors import InputError
from zoo.labels import LabelSet

LABELS = LabelSet("two", ("a", "b"), ((0, 0, 0), (9, 9, 9)), 255)


def data(*names, kind="camvid"):
    pairs = tuple(
        (Path("/data/images") / f"{name}.png", Path("/data/masks") / f"{name}.png") for name in names
    )
    return Dataset(kind, "train", LABELS, pairs)


def sizes(found):
    return [(fold.name, len(fold.training), len(fold.held_out)) for fold in found]


CAMVID = data("0001TP_006690", "0001TP_006720", "0006R0_f00930", "Seq05VD_f00000", "Seq05VD_f00030")


def test_drives_of_camvid():
    found = folds(CAMVID, "drives")
    assert sizes(found) == [("0001TP", 3, 2), ("0006R0", 4, 1), ("Seq05VD", 3, 2)]
    for fold in found:
        assert {*fold.training.pairs} | {*fold.held_out.pairs} == {*CAMVID.pairs}
        assert not {*fold.training.pairs} & {*fold.held_out.pairs}
        assert fold.held_out.label_set is LABELS and fold.training.split == "train"


def test_cities_of_cityscapes():
    names = ["aachen/aachen_000000_000019_leftImg8bit", "aachen/aachen_000001_000019_leftImg8bit"]
    found = folds(data(*names, "ulm/ulm_000000_000019_leftImg8bit", kind="cityscapes"), "drives")
    assert [len(fold.held_out) for fold in found] == [2, 1]


def test_folders_are_drives():
    found = folds(data("monday/1", "monday/2", "tuesday/1", kind="folder"), "drives")
    assert sizes(found) == [("monday", 1, 2), ("tuesday", 2, 1)]


def test_a_pattern_and_a_list(tmp_path):
    of = data("scene_a_1", "scene_b_1", "scene_a_2", kind="folder")
    assert sizes(folds(of, r"scene_(\w)")) == [("a", 1, 2), ("b", 2, 1)]
    path = tmp_path / "folds.txt"
    path.write_text("scene_a_1 x\nscene_b_1.png y\n\nscene_a_2 y\n")
    assert sizes(folds(of, str(path))) == [("x", 2, 1), ("y", 1, 2)]


def test_stretches_are_contiguous_within_their_drive():
    of = data(*(f"a_{n}" for n in range(5)), *(f"b_{n}" for n in range(4)))
    found = folds(of, "stretches:2")
    assert sizes(found) == [("a#1", 6, 3), ("a#2", 7, 2), ("b#1", 7, 2), ("b#2", 7, 2)]
    for fold in found:
        numbers = [int(image.stem.split("_")[1]) for image, _ in fold.held_out.pairs]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("(a|b)_(1)", "one group, not 2"),
        ("scene", "one group, not 0"),
        ("(", "no regular expression"),
        ("x(y)", "do not match"),
        ("stretches:1", "2 or more"),
        ("stretches:4", "'scene_a' has 2 images only"),
        ("(scene)", "all 3 images belong to 'scene'"),
        ("missing.txt", "cannot read the list"),
    ],
)
def test_what_cannot_be_folds(by, message):
    with pytest.raises(InputError, match=message):
        folds(data("scene_a_1", "scene_b_1", "scene_a_2", kind="folder"), by)


def test_names_without_a_frame():
    with pytest.raises(InputError, match="does not end in the number of a frame"):
        folds(data("left", "right", kind="folder"), "drives")


@pytest.mark.parametrize("text", ["scene_a_1", "scene_a_1 x y", "scene_a_1 x\nscene_a_1 y"])
def test_damaged_lists(tmp_path, text):
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(InputError, match="must be an image and its one fold"):
        folds(data("scene_a_1", kind="folder"), str(tmp_path / "l.txt"))


def test_a_list_that_leaves_out_an_image(tmp_path):
    (tmp_path / "l.txt").write_text("a_1 x\n")
    with pytest.raises(InputError, match="names no fold of b_1"):
        folds(data("a_1", "b_1"), str(tmp_path / "l.txt"))
