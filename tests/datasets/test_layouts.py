"""Folders of images and masks as people have them: every layout opens, what fits two ways is refused."""

import os
import unicodedata

import numpy as np
import pytest
from support.data_folders import mask_of, save_image, save_mask

from zoo.datasets import check, open_dataset
from zoo.datasets.readers import detect_kind, splits_of
from zoo.errors import InputError

NAMES = ("a", "b", "c")
VALUES = {name: index for index, name in enumerate(NAMES)}


def draw(root, image, mask, *, split="", names=NAMES):
    """Samples whose masks hold a value of their own, at paths such as ``images/{split}/{name}.jpg``."""
    for name in names:
        save_image(root / image.format(split=split, name=name))
        save_mask(root / mask.format(split=split, name=name), mask_of(VALUES[name]))


def read(root, split, **options):
    """Value of each image's mask by the first letter of its name."""
    dataset = open_dataset("folder", root, split=split, **{"classes": 3, **options})
    return {dataset.pairs[i][0].name[0]: int(dataset.read(i)[1].max()) for i in range(len(dataset))}


DIVIDED = [
    ("images/{split}/{name}.jpg", "masks/{split}/{name}.png"),
    ("{split}/images/{name}.jpg", "{split}/masks/{name}.png"),
    ("{split}/images/{name}.JPG", "{split}/labels/{name}.PNG"),
    ("images/{split}/{name}.jpg", "annotations/{split}/{name}.png"),
    ("{split}/{name}.jpg", "{split}_labels/{name}_L.png".replace("_L", "_label")),
    ("{split}_images/{name}.jpg", "{split}_masks/{name}.png"),
    ("{split}/{name}.jpg", "{split}annot/{name}.png"),
    ("{split}/{name}_sat.jpg", "{split}/{name}_mask.png"),
    ("Images/{split}/{name}.jpg", "Masks/{split}/{name}.jpg.png"),
    ("images/{split}/{name}_leftImg8bit.png", "masks/{split}/{name}_gtFine_labelIds.png"),
]


@pytest.mark.parametrize(("image", "mask"), DIVIDED)
@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_of_splits(tmp_path, image, mask, val):
    draw(tmp_path, image, mask, split="train", names="ab")
    draw(tmp_path, image, mask, split=val, names="c")
    assert read(tmp_path, "train") == {"a": 0, "b": 1}
    assert read(tmp_path, "val") == {"c": 2}
    assert read(tmp_path, "all") == VALUES
    assert detect_kind(tmp_path) == "folder"
    assert splits_of("folder", tmp_path) == ("train", "val", "all")
    report = check(tmp_path, classes=3)
    assert report.ok and [(split.split, split.samples) for split in report.splits] == [
        ("train", 2),
        ("val", 1),
    ]


UNDIVIDED = [
    *((f"{{name}}{suffix}", f"{{name}}{ending}.png") for suffix, ending in (
        (".jpg", "_mask"), (".JPG", "_label"), (".png", "_seg"), (".jpg", "_gt"), (".jpg", "-mask"),
        (".jpg", ".mask"), (".jpeg", "_segmentation"), (".jpg", "_labelIds"), ("_sat.jpg", "_mask"),
        ("_leftImg8bit.png", "_gtFine_labelIds"), (".jpg", ".jpg_mask"), (".tif", "_MASK"),
    )),
    ("images/{name}.jpg", "masks/{name}.jpg.png"),
    ("images/{name}.jpg", "masks/{name}_mask.png"),
    ("images/{name}_leftImg8bit.png", "masks/{name}_gtFine_labelIds.png"),
    ("images/{name}.v1.2.jpg", "masks/{name}.v1.2.png"),
    ("JPEGImages/{name}.jpg", "SegmentationClass/{name}.png"),
    ("img/{name}.JPG", "gt/{name}_gt.TIF"),
]  # fmt: skip


@pytest.mark.parametrize(("image", "mask"), UNDIVIDED)
def test_one_folder_or_two(tmp_path, image, mask):
    draw(tmp_path, image, mask)
    assert read(tmp_path, "all") == VALUES
    assert detect_kind(tmp_path) == "folder"
    assert {**read(tmp_path, "train"), **read(tmp_path, "val")} == VALUES
    assert check(tmp_path, classes=3).ok


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("mask", ["masks/{}.png", "masks/{}_mask.png"])
def test_accents_composed_or_apart(tmp_path, forms, mask):
    name, other = (unicodedata.normalize(form, "Straße_Zürich") for form in forms)
    assert name != other
    save_image(tmp_path / "images" / f"{name}.jpg")
    save_mask(tmp_path / mask.format(other), mask_of(2))
    (tmp_path / "train.txt").write_text(f"{other}\n", encoding="utf-8")
    assert read(tmp_path, "all") == read(tmp_path, "train") == {"S": 2}


@pytest.mark.parametrize("image", ["images/{name}.png", "{name}.png"])
def test_what_file_managers_leave_behind_is_no_sample(tmp_path, image):
    mask = "masks/{name}.png" if "/" in image else "{name}_mask.png"
    draw(tmp_path, image, mask)
    folders = [tmp_path, *(path for path in tmp_path.iterdir() if path.is_dir())]
    for folder in folders:
        for name in ("._a.png", "._a_mask.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\0\5\x16\7")
        (folder / "__MACOSX").mkdir()
        (folder / "__MACOSX" / "._a.png").write_bytes(b"\0\5\x16\7")
    assert read(tmp_path, "all") == VALUES
    assert check(tmp_path, classes=3).ok
    (tmp_path / "train.txt").write_text("._a.png\nThumbs.db\n.DS_Store\nb.png\n")
    assert read(tmp_path, "train") == {"b": 1}


@pytest.mark.parametrize(
    "line", ["a.x.jpg", "images\\a.x.jpg", "C:\\data\\images\\a.x.JPG", "./images/a.x", "a.x"]
)
def test_lists_of_any_system_and_dots(tmp_path, line):
    draw(tmp_path, "images/{name}.x.jpg", "masks/{name}.x.png")
    (tmp_path / "train.txt").write_text(line + "\r\n")
    assert read(tmp_path, "train") == {"a": 0}


def test_cityscapes_names_tell_the_classes(tmp_path):
    save_image(tmp_path / "images" / "a_leftImg8bit.png")
    save_mask(tmp_path / "masks" / "a_gtFine_labelIds.png", mask_of(7, 33, 0))
    save_mask(tmp_path / "masks" / "a_gtFine_color.png", mask_of(1))
    save_mask(tmp_path / "masks" / "a_gtFine_instanceIds.png", mask_of(1))
    dataset = open_dataset("folder", tmp_path, split="all")
    assert dataset.label_set.key == "cityscapes19"
    np.testing.assert_array_equal(dataset.read(0)[1], mask_of(0, 18, 255))
    assert check(tmp_path).ok
    save_mask(tmp_path / "masks" / "a_gtFine_labelTrainIds.png", mask_of(1))
    with pytest.raises(InputError, match=r"a second mask of a_leftImg8bit\.png, beside a_gtFine_labelI"):
        open_dataset("folder", tmp_path, split="all")


def test_several_ignored_values(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    save_mask(tmp_path / "masks" / "a.png", mask_of(0, 1, 2, 200, 254, 255))
    mapping = {200: "ignore", 254: "ignore", 0: "ignore"}
    (mask,) = [open_dataset("folder", tmp_path, split="all", classes=3, mapping=mapping).read(0)[1]]
    np.testing.assert_array_equal(mask, mask_of(255, 1, 2, 255, 255, 255))
    report = check(tmp_path, classes=3, mapping=mapping)
    assert report.ok and report.splits[0].ignored == np.count_nonzero(mask == 255)


# --- what is refused ----------------------------------------------------------------------------

TWICE = [
    ({"flat": ("images/{name}.jpg", "masks/{name}.png"), "inside": DIVIDED[0]}, "images/ and masks/"),
    ({"flat": ("images/{name}.jpg", "masks/{name}.png"), "outside": DIVIDED[1]}, "train/images/"),
    ({"inside": DIVIDED[0], "outside": DIVIDED[1]}, "images/train/ and masks/train/"),
    ({"flat": ("images/{name}.jpg", "masks/{name}.png"), "suffix": UNDIVIDED[0]}, "the folder itself"),
]


@pytest.mark.parametrize(("layouts", "shown"), TWICE)
def test_two_layouts_are_both_shown_and_one_can_be_chosen(tmp_path, layouts, shown):
    for (image, mask), name in zip(layouts.values(), "ab", strict=True):
        draw(tmp_path, image, mask, split="train", names=name)
    with pytest.raises(InputError, match="can be read in two ways") as caught:
        open_dataset("folder", tmp_path, split="all", classes=3)
    for text in (shown, *(f"--arrangement {layout}" for layout in layouts)):
        assert text in str(caught.value)
    for layout, name in zip(layouts, "ab", strict=True):
        assert read(tmp_path, "all", arrangement=layout) == {name: VALUES[name]}
        assert check(tmp_path, classes=3, arrangement=layout, splits=["all"]).splits[0].samples == 1
    with pytest.raises(InputError, match="arrangement must be one of flat, inside"):
        open_dataset("folder", tmp_path, split="all", classes=3, arrangement="upside")


def test_lists_and_folders_of_splits(tmp_path):
    draw(tmp_path, *DIVIDED[0], split="train")
    (tmp_path / "train.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"both train\.txt and images/train/ and masks/train/ .* split is"):
        open_dataset("folder", tmp_path, classes=3)
    assert read(tmp_path, "train", arrangement="inside") == VALUES


@pytest.mark.parametrize(
    ("paths", "parts"),
    [
        (["train/images/a.jpg"], ["train/ (images/)", "is outside", "no folder masks/"]),
        (["images/a.jpg", "images/b.jpg"], ["images/ (2 .jpg)", "flat", "images/ has no folder masks/"]),
        (["masks/a.png"], ["masks/ (1 .png)", "masks/ has no folder images/ beside it"]),
        (["photos/train/a.jpg"], ["inside", "photos/ has no folder masks/"]),
        (["a.jpg", "b.jpg"], ["2 .jpg", "suffix: a.jpg and a_mask.png", "--masks DIR"]),
        (["x/a.jpg", "notes.txt"], ["1 .txt, x/ (1 .jpg)", "flat"]),
        ([], ["there are no files", "flat"]),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_understood(tmp_path, paths, parts):
    for path in paths:
        save_image(tmp_path / path) if not path.endswith("txt") else (tmp_path / path).write_text("x")
    for call in (lambda: detect_kind(tmp_path), lambda: open_dataset("folder", tmp_path, classes=3)):
        with pytest.raises(InputError) as caught:
            call()
        for part in parts:
            assert part in str(caught.value), str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["train.txt", "classes.txt"])
def test_a_list_that_never_ends_is_refused(tmp_path, make, name):
    draw(tmp_path, "images/{name}.jpg", "masks/{name}.png")
    make(tmp_path / name)
    options = {"classes": tmp_path / name} if name == "classes.txt" else {"classes": 3}
    with pytest.raises(InputError, match=r"\.txt: is not a regular file"):
        open_dataset("folder", tmp_path, **options)
