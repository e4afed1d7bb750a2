"""`zoo dataset check` on data sets in which the tests break something."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from support.data_folders import camvid, cityscapes, folder, mask_of, save_image, save_mask, voc

from zoo.cli import main
from zoo.datasets import check


def document(capsys, *words):
    status = main(["dataset", "check", *map(str, words), "--json", "-"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("make", [camvid, voc, cityscapes, folder])
def test_nothing_wrong_and_the_kind_is_told_from_the_folders(tmp_path, capsys, make):
    make(tmp_path)
    status, found = document(capsys, tmp_path)
    assert status == 0
    assert found["ok"]
    assert found["kind"] == {"voc": "voc2012"}.get(make.__name__, make.__name__)
    splits = {name: split["samples"] for name, split in found["splits"].items()}
    assert (
        splits
        == {
            camvid: {"train": 2, "val": 2},
            voc: {"train": 1, "val": 1, "trainval": 2, "train_aug": 2},
            cityscapes: {"train": 2},
            folder: {"all": 10},
        }[make]
    )


def test_shares_and_weights(tmp_path, capsys):
    save_image(tmp_path / "images" / "a.png", (2, 4))
    save_mask(tmp_path / "masks" / "a.png", [[0, 0, 0, 1], [1, 3, 255, 255]])
    _, found = document(capsys, tmp_path)
    split = found["splits"]["all"]
    assert found["classes"] == ["class 0", "class 1", "class 2", "class 3"]
    assert split["ignored_pixels"] == 2
    assert list(split["pixels"].values()) == [3, 2, 0, 1]
    np.testing.assert_allclose(list(split["shares"].values()), [1 / 2, 1 / 3, 0, 1 / 6])
    assert split["weights"]["class 0"] == pytest.approx(1 / math.log(1.6))
    assert split["weights"]["class 2"] == pytest.approx(1 / math.log(1.1))


def test_every_problem_is_told_with_its_file(tmp_path, capsys):
    folder(tmp_path)
    masks, images = tmp_path / "masks", tmp_path / "images"
    save_mask(masks / "0.png", mask_of(0, 3, 7))
    save_mask(masks / "1.png", np.zeros((8, 6)))
    (images / "2.png").write_bytes(b"not a picture")
    (masks / "3.png").unlink()
    (images / "4.png").unlink()
    save_image(masks / "5.png")
    status, found = document(capsys, tmp_path, "--classes", 3)
    assert status == 1
    assert not found["ok"]
    problems = {(p["kind"], p["path"]): p["message"] for p in found["splits"]["all"]["problems"]}
    assert set(problems) == {
        ("values", str(masks / "0.png")),
        ("size", str(masks / "1.png")),
        ("unreadable", str(images / "2.png")),
        ("missing", str(images / "3.jpg")),
        ("missing", str(masks / "4.png")),
        ("unreadable", str(masks / "5.png")),
    }
    assert problems["values", str(masks / "0.png")] == "values 3, 7 are no class of classes3"
    assert problems["size", str(masks / "1.png")] == "6x8 pixels, but its image has 8x6"
    assert "one channel of class indices" in problems["unreadable", str(masks / "5.png")]


def test_text_names_files_and_classes(tmp_path, capsys):
    (folder(tmp_path, 2) / "names.txt").write_text("road\ncar\n")
    assert main(["dataset", "check", str(tmp_path), "--classes", str(tmp_path / "names.txt")]) == 1
    out = capsys.readouterr().out
    assert "all: 2 samples, 2 problems" in out
    assert f"{tmp_path / 'masks' / '1.png'}: value 2 is no class of custom" in out
    # Class 2 takes no part in the shares, nor does 255; 1 / log(1.6) is 2.128.
    assert "  road     50.00 %    2.128" in out
    assert "  car      50.00 %    2.128" in out
    # Of the pixels that hold a class or 255; those that hold 2 count nowhere.
    assert "  ignored  33.33 % of all pixels" in out


def test_ids_in_files_of_train_ids(tmp_path):
    report = check(cityscapes(tmp_path, values=(0, 7, 26, 33), ending="labelTrainIds"))
    (split,) = report.splits
    assert [problem.kind for problem in split.problems] == ["ids", "ids"]
    assert "values 26, 33 are no class" in split.problems[0].message
    assert "look like Cityscapes label ids, not trainIds" in split.problems[0].message


def test_ids_in_a_folder_of_19_classes(tmp_path):
    report = check(folder(tmp_path, 2, values=(7, 26)), classes=19)
    assert {problem.kind for problem in report.splits[0].problems} == {"ids"}


def test_train_ids_in_files_of_ids(tmp_path):
    report = check(cityscapes(tmp_path, values=(0, 2, 18, 255)))
    (split,) = report.splits
    assert [problem.kind for problem in split.problems] == ["ids"]
    assert "files of label ids hold trainIds" in split.problems[0].message


@pytest.mark.parametrize("classes", [None, 2])
def test_black_and_white_masks(tmp_path, classes):
    """White, 255, would be ignored, and all that is left is one class."""
    (split,) = check(folder(tmp_path, 3, values=(0, 255)), classes=classes).splits
    assert [(p.path, p.kind) for p in split.problems] == [(tmp_path / "masks", "values")]
    assert "the masks hold 0 and 255 only" in split.problems[0].message


def test_values_beyond_the_ids(tmp_path):
    report = check(cityscapes(tmp_path, values=(7, 26, 40)))
    assert [problem.message for problem in report.splits[0].problems] == [
        "value 40 is no class of cityscapes19"
    ] * 2


def test_cityscapes_partners(tmp_path):
    cityscapes(tmp_path)
    next((tmp_path / "gtFine" / "train" / "bonn").iterdir()).unlink()
    next((tmp_path / "leftImg8bit" / "train" / "aachen").iterdir()).unlink()
    problems = {p.path.parent.name: p.message for p in check(tmp_path).splits[0].problems}
    assert problems == {"bonn": "no label file (*_gtFine_labelIds.png)", "aachen": "no image"}


def test_listed_files_that_are_absent(tmp_path):
    (camvid(tmp_path) / "valannot" / "b.png").unlink()
    train, val = check(tmp_path).splits
    assert not train.problems
    assert [(p.path, p.kind) for p in val.problems] == [(tmp_path / "valannot" / "b.png", "missing")]
    assert sum(val.pixels) + val.ignored == mask_of(0).size


def test_one_split(tmp_path, capsys):
    status, found = document(capsys, camvid(tmp_path), "--split", "val")
    assert status == 0
    assert list(found["splits"]) == ["val"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent"], "no such folder"),
        (["."], "not the layout of a known kind"),
        ([".", "--dataset", "coco"], "unknown kind of data set 'coco'"),
        ([".", "--dataset", "voc2012"], "no split of this kind"),
        ([".", "--dataset", "folder"], "no such folder; the kind 'folder' has images/ and masks/"),
    ],
)
def test_what_cannot_be_checked(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "check", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_an_empty_folder_cannot_be_checked(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert main(["dataset", "check", str(tmp_path)]) == 2
    assert "there are no samples in all" in capsys.readouterr().err


def test_the_check_imports_no_tensorflow(tmp_path):
    code = (
        "import sys; from zoo.cli import main; status = main(sys.argv[1:]);"
        "sys.exit('tensorflow' if 'tensorflow' in sys.modules else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "dataset", "check", str(folder(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_packs_verifies_and_checks(tmp_path, capsys):
    root, records = folder(tmp_path / "mine"), tmp_path / "records"
    command = ["dataset", "pack", str(root), "--classes", "3", "--output", str(records), "--verify"]
    assert main([*command, "--shards", "2"]) == 0
    out = capsys.readouterr().out
    assert "train: 8 samples in 2 shards, " in out and "val: 2 samples in 2 shards" in out
    assert out.count("bytes, verified") == 2
    assert main(["dataset", "check", str(records)]) == 0
    assert "records, 3 classes" in capsys.readouterr().out
    assert main([*command, "--shards", "2"]) == 0
    assert "2 of them from an earlier call" in capsys.readouterr().out
    shard = records / "val-00001-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[60] ^= 1
    shard.write_bytes(content)
    assert main(["dataset", "check", str(records)]) == 1
    out = capsys.readouterr().out
    assert "its digest is not that of the index; after " in out
    assert "the record is damaged: its checksum is wrong" in out
    assert main([*command, "--shards", "2"]) == 1
    assert "checksum" in capsys.readouterr().err
