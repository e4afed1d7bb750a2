"""Names that differ between systems, in the layouts of published data sets."""

import unicodedata

import pytest
from support.data_folders import camvid, cityscapes, folder, mask_of, save_image, save_mask, voc

from zoo.datasets import check, open_dataset
from zoo.datasets.names import sibling
from zoo.errors import InputError
from zoo.images import SUFFIXES


def names(kind, root, split="train"):
    return [(image.name, mask.name) for image, mask in open_dataset(kind, root, split=split).pairs]


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".PNG", ".bmp"])
def test_voc_images_of_other_formats(tmp_path, suffix):
    voc(tmp_path)
    images = tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages"
    (images / "2007_1.jpg").unlink()
    save_image(images / f"2007_1{suffix}")
    assert names("voc2012", tmp_path) == [(f"2007_1{suffix}", "2007_1.png")]
    save_image(images / "2007_1.tif")
    with pytest.raises(InputError, match=r"several files of one name: 2007_1\.\w+, 2007_1\.\w+; keep one"):
        open_dataset("voc2012", tmp_path)
    save_image(images / "2007_1.jpg")  # the name that the kit has
    assert names("voc2012", tmp_path) == [("2007_1.jpg", "2007_1.png")]


@pytest.mark.parametrize(
    "line", ["2007.1", "JPEGImages\\2007.1.jpg SegmentationClass\\2007.1.png", "2007.1.jpg"]
)
def test_voc_names_with_dots(tmp_path, line):
    lists = voc(tmp_path)
    base = tmp_path / "VOCdevkit" / "VOC2012"
    save_image(base / "JPEGImages" / "2007.1.jpg")
    save_mask(base / "SegmentationClass" / "2007.1.png", mask_of(0))
    (lists / "train.txt").write_text(f"{line}\n._2007.1.jpg\n")
    assert names("voc2012", tmp_path) == [("2007.1.jpg", "2007.1.png")]


def test_voc_masks_that_macos_wrote_beside(tmp_path):
    voc(tmp_path)
    (tmp_path / "VOCdevkit" / "VOC2012" / "SegmentationClassAug" / "._2007_1.png").write_bytes(b"\0\5\x16\7")
    assert len(names("voc2012", tmp_path, "train_aug")) == 2
    assert check(tmp_path, splits=["train_aug"]).ok


def test_cityscapes_files_that_macos_wrote_beside_and_no_cities(tmp_path):
    cityscapes(tmp_path)
    for kind, ending in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        folder = tmp_path / kind / "train"
        (folder / "aachen" / f"._x_{ending}.png").write_bytes(b"\0\5\x16\7")
        path = next((folder / "bonn").glob("*.png"))
        path.rename(folder / path.name)
    assert [image[:4] for image, _ in names("cityscapes", tmp_path)] == ["aach", "bonn"]
    assert check(tmp_path).ok


@pytest.mark.parametrize("prefix", ["C:\\SegNet\\CamVid\\", ".\\", ""])
def test_camvid_lists_of_windows(tmp_path, prefix):
    camvid(tmp_path)
    rows = [f"{prefix}train\\{name} {prefix}trainannot\\{name}" for name in ("a.png", "b.png")]
    (tmp_path / "train.txt").write_text("\r\n".join([*rows, "._a.png"]))
    assert names("camvid", tmp_path) == [("a.png", "a.png"), ("b.png", "b.png")]


def test_camvid_names_with_blanks_and_accents(tmp_path):
    camvid(tmp_path)
    name = "mein café.png"
    save_image(tmp_path / "train" / unicodedata.normalize("NFD", name))
    save_mask(tmp_path / "trainannot" / unicodedata.normalize("NFC", name), mask_of(1))
    (tmp_path / "train.txt").write_text(f"train/{name} trainannot/{name}\n", encoding="utf-8")
    assert len(names("camvid", tmp_path)) == 1


def test_camvid_original_with_what_macos_wrote_beside(tmp_path):
    for name in ("a.png", "a_L.png"):
        save_image(tmp_path / name)
    for name in ("._b.png", "._b_L.png"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert names("camvid_original", tmp_path, "all") == [("a.png", "a_L.png")]


def test_an_absent_sibling_has_the_usual_name(tmp_path):
    assert sibling(tmp_path, "a", SUFFIXES, ".jpg") == tmp_path / "a.jpg"


def test_a_second_mask_that_no_list_names_changes_nothing(tmp_path):
    """As before there was a pairing by endings."""
    folder(tmp_path, 3)
    save_mask(tmp_path / "masks" / "1_mask.png", mask_of(0))
    (tmp_path / "train.txt").write_text("1\n")
    assert open_dataset("folder", tmp_path, classes=3).pairs[0][1].name == "1.png"
    with pytest.raises(InputError, match=r"1_mask\.png: a second mask of 1\.jpg, beside 1\.png"):
        open_dataset("folder", tmp_path, split="all", classes=3)
