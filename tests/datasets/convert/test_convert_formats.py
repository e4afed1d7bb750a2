"""`zoo dataset convert` for each format: equal, pixel by pixel, to a scene that was drawn by hand."""

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.label_tools import NAMES, STEMS, TRUTH

from zoo.cli import main
from zoo.datasets import check, open_dataset
from zoo.datasets.convert import convert
from zoo.datasets.examination import examine

SOURCES = {
    "labelme": ("labelme", label_tools.labelme),
    "coco polygons": ("coco", label_tools.coco),
    "coco runs": ("coco", lambda root: label_tools.coco(root, label_tools.plain_runs())),
    "coco runs as text": ("coco", lambda root: label_tools.coco(root, label_tools.text_runs())),
    "coco panoptic": ("coco", label_tools.panoptic),
    "cvat": ("cvat", label_tools.cvat),
    "cvat masks": ("cvat", label_tools.cvat_masks),
    "yolo": ("yolo", label_tools.yolo),
    "supervisely": ("supervisely", label_tools.supervisely),
    "roboflow": ("roboflow", label_tools.roboflow),
    "label studio": ("label_studio", label_tools.label_studio),
    "via": ("via", label_tools.via),
    "parquet": ("parquet", label_tools.parquet),
    "colors": ("colors", label_tools.color_folder),
}
# Alphabetical, or by the id of the category, where a format has no order of its own.
CAR_FIRST = ("labelme", "coco polygons", "coco runs", "coco runs as text", "label studio", "via")


@pytest.mark.parametrize("name", SOURCES)
def test_the_scene_is_pixel_equal_and_can_be_trained_on(tmp_path, capsys, name):
    format, make = SOURCES[name]
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    (tmp_path / "source").mkdir()
    source, target = make(tmp_path / "source"), tmp_path / "out"
    assert main(["dataset", "convert", format, str(source), "--output", str(target)]) == 0, (
        capsys.readouterr()
    )
    names = ["background", "car", "road"] if name in CAR_FIRST else [*NAMES]
    truth = TRUTH
    if name == "coco panoptic":  # what is in no segment is void there
        names = ["road", "car"]
        truth = np.array([255, 0, 1])[TRUTH]
    elif names[1] == "car":
        truth = np.array([0, 2, 1])[TRUTH]
    assert (target / "classes.txt").read_text().split() == names
    stems = sorted(stem for stems in STEMS.values() for stem in stems)
    assert sorted(path.stem for path in (target / "masks").iterdir()) == stems
    for stem in stems:
        with Image.open(target / "masks" / f"{stem}.png") as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), truth)
    if name != "colors":  # whose folder has no lists
        for split, members in STEMS.items():
            assert [image.stem for image, _ in open_dataset("folder", target, split=split).pairs] == [
                *members
            ]
    assert check(target).ok
    training = open_dataset("folder", target, split="train")
    report = examine(training, note=lambda _: None, training=True)
    assert report.pixels[names.index("car")] == len(training) * 24
    image, mask = training.read(0)
    assert image.shape[:2] == mask.shape


def test_pictures_are_copied_as_they_are(tmp_path):
    source = label_tools.coco(tmp_path / "source")
    convert("coco", source, tmp_path / "out")
    before = (source / "train2017" / "a.jpg").read_bytes()
    assert (tmp_path / "out" / "images" / "a.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["voc", "."], "unknown format 'voc'; known: coco, labelme"),
        (["coco", "absent"], "no such folder"),
        (["coco", "file.zip"], "is not a folder (unpack archives first)"),
        (["coco", "."], "no JSON file with images, annotations and categories"),
        (["labelme", "."], "no JSON file of LabelMe"),
        (["cvat", "."], "neither annotations.xml"),
        (["yolo", "."], "the classes are not known"),
        (["supervisely", "."], "no folder ann/"),
        (["roboflow", "."], "no _classes.csv"),
        (["label-studio", "."], "no JSON export of Label Studio"),
        (["via", "."], "no JSON file of VGG Image Annotator"),
        (["parquet", "."], "no *.parquet"),
        (["colors", "."], "a folder of pictures"),
    ],
)
def test_what_is_not_there(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.zip").write_bytes(b"PK")
    assert main(["dataset", "convert", *words, "--output", "out"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.zip"]


def test_a_folder_that_is_there_is_not_touched(tmp_path, capsys):
    source = label_tools.coco(tmp_path / "source")
    kept = label_tools.picture(tmp_path / "out" / "mine.png")
    assert main(["dataset", "convert", "coco", str(source), "--output", str(kept.parent)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in kept.parent.iterdir()] == ["mine.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]
