"""Readers of the layouts of data sets: files that the tests write, and the real CamVid."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from support.data_folders import SIZE, camvid, cityscapes, folder, mask_of, save_image, save_mask, voc

from zoo.datasets import Dataset, check, open_dataset
from zoo.datasets.cityscapes import train_id_table
from zoo.errors import FormatError, InputError
from zoo.labels import CAMVID11, LabelSet, numbered

# --- CamVid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "./", "/SegNet/CamVid/", "CamVid/"])
def test_camvid_finds_its_files_under_any_prefix(tmp_path, prefix):
    dataset = open_dataset("camvid", camvid(tmp_path, prefix), split="val")
    assert dataset.label_set is CAMVID11
    assert dataset.pairs == tuple(
        (tmp_path / "val" / name, tmp_path / "valannot" / name) for name in ("a.png", "b.png")
    )
    image, mask = dataset.read(1)
    assert image.shape == (*SIZE, 3)
    assert image.dtype == np.uint8
    assert mask.dtype == np.int32
    np.testing.assert_array_equal(mask, mask_of(*range(12)))


def test_real_camvid(data_dir):
    train = open_dataset("camvid", data_dir / "camvid")
    val = open_dataset("camvid", data_dir / "camvid", split="val")
    assert (len(train), len(val)) == (367, 101)
    image, mask = val.read(0)
    assert image.shape == (360, 480, 3)
    assert mask.shape == (360, 480)
    assert set(np.unique(mask)) <= set(range(12))


def test_class_shares_of_real_camvid(data_dir):
    """Sky, building, tree and road are most of a street; the figures are those of the val split."""
    report = check(data_dir / "camvid", splits=["val"])
    assert report.ok
    assert report.kind == "camvid"
    (val,) = report.splits
    expected = [0.0934, 0.2641, 0.0057, 0.2946, 0.0887, 0.1662, 0.0091, 0.0313, 0.0178, 0.0066, 0.0226]
    np.testing.assert_allclose(val.shares, expected, atol=5e-5)
    assert sum(val.pixels) + val.ignored == 101 * 360 * 480
    np.testing.assert_allclose(val.weights, 1 / np.log(1.10 + np.array(val.shares)))


def test_camvid_list_with_one_column(tmp_path):
    (camvid(tmp_path) / "val.txt").write_text("val/a.png valannot/a.png\nval/b.png\n")
    with pytest.raises(InputError, match="row 2 is not an image path and an annotation path"):
        open_dataset("camvid", tmp_path, split="val")


def test_camvid_with_a_missing_file(tmp_path):
    (camvid(tmp_path) / "valannot" / "b.png").unlink()
    with pytest.raises(InputError, match=r"valannot/b\.png: no such file$"):
        open_dataset("camvid", tmp_path, split="val")
    assert len(open_dataset("camvid", tmp_path, split="train")) == 2


# --- PASCAL VOC ---------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_palette_masks_hold_indices(tmp_path, below):
    voc(tmp_path)
    dataset = open_dataset("voc2012", tmp_path / below, split="trainval")
    assert [image.stem for image, _ in dataset.pairs] == ["2007_1", "2007_2"]
    assert Image.open(dataset.pairs[0][1]).mode == "P"
    np.testing.assert_array_equal(dataset.read(0)[1], mask_of(0, 15, 20, 255))


def test_voc_train_aug_without_a_list_is_every_mask_outside_of_val(tmp_path):
    voc(tmp_path)
    dataset = open_dataset("voc2012", tmp_path, split="train_aug")
    assert [mask.stem for _, mask in dataset.pairs] == ["2007_1", "2008_3"]
    np.testing.assert_array_equal(dataset.read(1)[1], mask_of(0, 7, 255))


@pytest.mark.parametrize("line", ["2008_3", "/JPEGImages/2008_3.jpg /SegmentationClassAug/2008_3.png"])
@pytest.mark.parametrize("name", ["train_aug.txt", "trainaug.txt"])
def test_voc_train_aug_with_a_list(tmp_path, name, line):
    (voc(tmp_path) / name).write_text(line + "\n")
    (image, mask) = open_dataset("voc2012", tmp_path, split="train_aug").pairs[0]
    assert (image.name, mask.parent.name, mask.name) == ("2008_3.jpg", "SegmentationClassAug", "2008_3.png")


# --- Cityscapes ---------------------------------------------------------------------------------


def test_cityscapes_ids_become_train_ids(tmp_path):
    dataset = open_dataset("cityscapes", cityscapes(tmp_path))
    assert [image.parent.name for image, _ in dataset.pairs] == ["aachen", "bonn"]
    np.testing.assert_array_equal(dataset.read(0)[1], mask_of(0, 1, 255, 8, 18))


def test_cityscapes_files_of_train_ids_are_read_as_they_are(tmp_path):
    dataset = open_dataset("cityscapes", cityscapes(tmp_path, values=(0, 18, 255), ending="labelTrainIds"))
    np.testing.assert_array_equal(dataset.read(0)[1], mask_of(0, 18, 255))


def test_cityscapes_table():
    """Against the published table by names (cityscapesScripts, helpers/labels.py)."""
    table = train_id_table()
    expected = {7: "road", 11: "building", 17: "pole", 21: "vegetation", 23: "sky", 26: "car", 31: "train"}
    from zoo.labels import CITYSCAPES19

    assert {value: CITYSCAPES19.names[table[value]] for value in expected} == expected
    assert [v for v in range(256) if 0 <= table[v] < 19] == [
        *(7, 8, 11, 12, 13, 17),
        *range(19, 29),
        *(31, 32, 33),
    ]
    # Parking, caravan and the licence plate are not evaluated; 34 does not exist.
    assert (table[9], table[29], table[255], table[34]) == (255, 255, 255, -1)


# --- folder -------------------------------------------------------------------------------------


def test_folder_pairs_by_stem_and_reads_class_names(tmp_path):
    (folder(tmp_path) / "classes.txt").write_text("road\n\ncar\n sky \n")
    dataset = open_dataset("folder", tmp_path, split="all")
    assert dataset.label_set.names == ("road", "car", "sky")
    assert dataset.label_set.ignore_label == 255
    assert [(a.stem, b.stem) for a, b in dataset.pairs] == [(str(i), str(i)) for i in range(10)]
    for index in range(10):
        np.testing.assert_array_equal(dataset.read(index)[1], mask_of(0, 1, 2, 255))


def test_folder_split_is_seeded_and_complete(tmp_path):
    folder(tmp_path)

    def stems(split, **options):
        return [a.stem for a, _ in open_dataset("folder", tmp_path, split=split, classes=3, **options).pairs]

    train, val = stems("train"), stems("val")
    assert sorted(train + val) == [str(i) for i in range(10)]
    assert len(val) == 2
    assert stems("val") == val
    assert len({tuple(stems("val", seed=seed)) for seed in range(5)}) > 1
    assert len(stems("val", validation_share=0.5)) == 5
    assert len(stems("val", validation_share=0.001)) == 1


def test_folder_with_lists(tmp_path):
    folder(tmp_path)
    (tmp_path / "train.txt").write_text("1\n2.png\n")
    (tmp_path / "test.txt").write_text("3\n")
    dataset = open_dataset("folder", tmp_path, classes=3)
    assert [a.name for a, _ in dataset.pairs] == ["1.jpg", "2.png"]
    with pytest.raises(InputError, match="unknown split 'val'; there are: train, test, all"):
        open_dataset("folder", tmp_path, split="val", classes=3)


def test_folder_with_masks_elsewhere(tmp_path):
    folder(tmp_path / "a")
    dataset = open_dataset(
        "folder",
        tmp_path / "a" / "images",
        masks=tmp_path / "a" / "masks",
        split="all",
        classes=["x", "y", "z"],
    )
    assert len(dataset) == 10
    assert dataset.label_set.names == ("x", "y", "z")


def test_folder_with_missing_partners(tmp_path):
    folder(tmp_path)
    (tmp_path / "masks" / "4.png").unlink()
    (tmp_path / "images" / "5.jpg").unlink()
    with pytest.raises(InputError, match=r"masks/5\.png: no image of this stem \(and 1 more; `zoo dataset"):
        open_dataset("folder", tmp_path, classes=3)


def test_folder_with_two_images_of_a_stem(tmp_path):
    save_image(folder(tmp_path) / "images" / "0.jpg")
    with pytest.raises(InputError, match=r"0\.png: the same stem as 0\.jpg"):
        open_dataset("folder", tmp_path, classes=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the classes are not known"),
        ({"classes": 0}, "2 to 255 classes .*background and your class.*, not 0"),
        ({"classes": True}, "2 to 255 classes .*, not True"),
        ({"classes": 1}, "2 to 255 classes .*background and your class.*, not 1"),
        ({"classes": ["road"]}, "2 to 255 classes .*background and your class.*, not 1"),
        ({"classes": numbered(1)}, "2 to 255 classes .*background and your class.*, not 1"),
        ({"classes": numbered(256)}, "2 to 255 classes .*, not 256"),
        ({"classes": ["a", "b", "a"]}, "class names occur twice: a"),
        ({"classes": "absent.txt"}, "absent.txt: no such file"),
        ({"classes": 3, "validation_share": 1.0}, "between 0 and 1, not 1.0"),
        ({"classes": 3, "split": "tset"}, "unknown split 'tset'; there are: train, val, all"),
        ({"classes": 3, "masks": "nowhere"}, "nowhere: no such folder"),
    ],
)
def test_folder_refuses(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        open_dataset("folder", folder(tmp_path, 3), **options)


def test_a_number_of_classes_is_whatever_is_an_integer(tmp_path):
    assert len(open_dataset("folder", folder(tmp_path, 3), classes=np.int64(3)).label_set) == 3


def test_a_single_sample_cannot_be_split(tmp_path):
    with pytest.raises(InputError, match="use the split 'all'"):
        open_dataset("folder", folder(tmp_path, 1), classes=3)


# --- all ----------------------------------------------------------------------------------------


def test_unknown_kind_folder_and_option(tmp_path):
    known = "camvid, camvid_original, voc2012, cityscapes, folder"
    with pytest.raises(InputError, match=f"'coco'; known: {known}"):
        open_dataset("coco", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_dataset("camvid", tmp_path / "absent")
    with pytest.raises(InputError, match=r"no split of this kind .* which is folders leftImg8bit/SPLIT and"):
        open_dataset("cityscapes", tmp_path)
    with pytest.raises(InputError, match="classes is an option of the kind 'folder'"):
        open_dataset("camvid", camvid(tmp_path), classes=3)


def test_read_names_the_file_that_is_wrong(tmp_path):
    dataset = open_dataset("folder", folder(tmp_path), split="all", classes=3)
    save_mask(tmp_path / "masks" / "0.png", mask_of(0, 3, 7))
    save_mask(tmp_path / "masks" / "1.png", np.zeros((8, 6)))
    (tmp_path / "images" / "2.png").write_bytes(b"not a picture")
    (tmp_path / "masks" / "3.png").unlink()
    with pytest.raises(InputError, match=r"0\.png: values 3, 7 are no class of classes3"):
        dataset.read(0)
    with pytest.raises(InputError, match=r"1\.png: 6x8 pixels, but its image has 8x6"):
        dataset.read(1)
    with pytest.raises(FormatError, match=r"2\.png"):
        dataset.read(2)
    with pytest.raises(InputError, match=r"3\.png: no such file"):
        dataset.read(3)
    for index in (10, -1, 1.5):
        with pytest.raises(InputError, match="index"):
            dataset.read(index)


def test_a_data_set_is_frozen_and_checks_its_labels(tmp_path):
    dataset = open_dataset("camvid", camvid(tmp_path))
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.split = "val"
    with pytest.raises(InputError, match="256 entries, not 3"):
        Dataset("x", "all", CAMVID11, (), table=(0, 1, 2))
    with pytest.raises(InputError, match="ignore label in 0…255, not 1 and 300"):
        Dataset("x", "all", LabelSet("x", ("a",), ((0, 0, 0),), 300), ())
