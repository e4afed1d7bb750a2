"""Variants of each tool's files, as its versions and its users write them."""

import base64
import json

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.label_encodings import brush, png
from support.label_tools import (
    CAR,
    HEIGHT,
    ROAD,
    TRUTH,
    WIDTH,
    filled,
    picture,
    pixels,
    ring,
    write_json,
)

from zoo.datasets.convert import convert
from zoo.errors import FormatError, InputError


def mask(folder, name="a"):
    with Image.open(folder / "masks" / f"{name}.png") as image:
        return np.asarray(image)


# --- LabelMe ------------------------------------------------------------------------------------


def labelme(root, shapes, **changes):
    picture(root / "a.jpg")
    document = {"imagePath": "a.jpg", "imageData": None, "shapes": shapes, "imageHeight": HEIGHT}
    write_json(root / "a.json", document | {"imageWidth": WIDTH} | changes)
    return root


ROAD_SHAPE = {"label": "road", "points": pixels(ROAD), "shape_type": "polygon"}


def test_labelme_mask_of_a_shape(tmp_path):
    data = base64.b64encode(png(np.full((4, 6), 255, np.uint8))).decode()
    shape = {"label": "car", "points": [[3, 4], [8, 7]], "shape_type": "mask", "mask": data}
    convert("labelme", labelme(tmp_path / "source", [ROAD_SHAPE, shape]), tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), np.array([0, 2, 1])[TRUTH])


def test_labelme_early_files_name_no_shape_type(tmp_path):
    shape = {"label": "road", "points": pixels(ROAD), "line_color": None}
    convert("labelme", labelme(tmp_path / "source", [shape]), tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), filled(ROAD))


@pytest.mark.parametrize("kind", ["circle", "line", "linestrip", "point"])
def test_labelme_shapes_without_corners(tmp_path, kind):
    shape = {"label": "car", "points": [[5, 5], [8, 5]][: 1 if kind == "point" else 2], "shape_type": kind}
    done = convert("labelme", labelme(tmp_path / "source", [shape]), tmp_path / "out")
    assert done.pixels[1] > 8
    assert done.counts.get("points and lines, drawn as LabelMe draws them", 0) == (kind != "circle")


PATHS = ("a.jpg", "C:\\Users\\me\\set\\a.jpg", "/home/me/a.jpg", "..\\..\\..\\a.jpg")


@pytest.mark.parametrize("text", PATHS)
def test_labelme_paths(tmp_path, text):
    picture(tmp_path / "a.jpg", size=(3, 3))  # outside of the folder: never taken
    source = labelme(tmp_path / "source", [ROAD_SHAPE], imagePath=text)
    convert("labelme", source, tmp_path / "out")
    assert mask(tmp_path / "out").shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".gif"])
def test_labelme_embedded_picture(tmp_path, suffix):
    source = labelme(tmp_path / "source", [ROAD_SHAPE])
    data = picture(source / f"b{suffix}").read_bytes()
    for path in (source / "a.jpg", source / f"b{suffix}"):
        path.unlink()
    document = json.loads((source / "a.json").read_text())
    write_json(source / "a.json", document | {"imageData": base64.b64encode(data).decode()})
    done = convert("labelme", source, tmp_path / "out")
    assert (tmp_path / "out" / "images" / f"a{suffix}").read_bytes() == data
    assert done.counts["pictures taken from inside their annotation"] == 1


def test_labelme_pictures_without_an_annotation_are_left_out(tmp_path):
    source = labelme(tmp_path / "source", [ROAD_SHAPE])
    picture(source / "b.jpg")
    done = convert("labelme", source, tmp_path / "out")
    assert (done.samples, done.counts["pictures without an annotation, left out"]) == (1, 1)


# --- COCO ---------------------------------------------------------------------------------------


def test_coco_as_roboflow_writes_it(tmp_path):
    """A category 0 that only heads the others is no class; annotations lie beside the pictures."""
    for split in ("train", "valid"):
        picture(tmp_path / "source" / split / "a.jpg")
        document = label_tools.coco_document(["a"], label_tools.polygons(), ids=(1, 2))
        for row in document["categories"]:
            row["supercategory"] = "street"
        document["categories"].insert(0, {"id": 0, "name": "street", "supercategory": "none"})
        write_json(tmp_path / "source" / split / "_annotations.coco.json", document)
    done = convert("coco", tmp_path / "source", tmp_path / "out")
    assert done.label_set.names == ("background", "road", "car")
    assert done.splits == {"train": 1, "val": 1}
    assert (tmp_path / "out" / "val.txt").read_text() == "valid-a\n"


def test_coco_several_files_of_the_same_pictures(tmp_path):
    """Objects in the order of the files; ids of categories are each file's own; other files are left out."""
    picture(tmp_path / "source" / "images" / "below" / "a.jpg")
    for name, at, number in (("1_road", 0, 5), ("2_car", 1, 5)):
        document = label_tools.coco_document(["below/a"], label_tools.polygons())
        document["annotations"] = [document["annotations"][at] | {"category_id": number}]
        document["categories"] = [{"id": number, "name": name[2:]}]
        write_json(tmp_path / "source" / f"{name}.json", document)
    write_json(tmp_path / "source" / "captions.json", {"images": [], "annotations": []})
    person = {"id": 1, "name": "person", "keypoints": ["nose"]}
    points = {"images": [], "annotations": [], "categories": [person]}
    write_json(tmp_path / "source" / "person_keypoints.json", points)
    done = convert("coco", tmp_path / "source", tmp_path / "out")
    assert done.label_set.names == ("background", "road", "car")
    np.testing.assert_array_equal(mask(tmp_path / "out"), TRUTH)
    assert done.counts["files of keypoints, left out"] == 1


def test_coco_picture_in_two_splits(tmp_path):
    source = label_tools.coco(tmp_path / "source")
    document = json.loads((source / "annotations" / "instances_val2017.json").read_text())
    document["images"][0]["file_name"] = "a.jpg"
    write_json(source / "annotations" / "instances_val2017.json", document)
    with pytest.raises(InputError, match=r"a\.jpg is in the splits train and val"):
        convert("coco", source, tmp_path / "out")


def test_coco_outside_of_the_picture(tmp_path):
    road, car = [[-5, 6, 30, 6, 30, 20, -5, 20]], label_tools.polygons()[1]
    source = label_tools.coco(tmp_path / "source", [road, car])
    done = convert("coco", source, tmp_path / "out")
    assert done.counts["shapes that reach out of their picture, cut off"] == 4
    np.testing.assert_array_equal(mask(tmp_path / "out"), np.array([0, 2, 1])[TRUTH])


# --- CVAT, YOLO, Supervisely, Label Studio ------------------------------------------------------


def test_cvat_shapes(tmp_path):
    source = label_tools.cvat(tmp_path / "source")
    text = (source / "annotations.xml").read_text()
    begin = text.index("<polygon")
    shapes = '<box label="road" xtl="0" ytl="6" xbr="16" ybr="10"/><polyline label="car" points="0,0;5,5"/>'
    shapes += '<ellipse label="car" cx="4" cy="3" rx="2" ry="2"/><tag label="car"/>'
    (source / "annotations.xml").write_text(text[:begin] + shapes + text[begin:])
    done = convert("cvat", source, tmp_path / "out")
    assert done.counts["shapes without an area (polyline), left out"] == 1
    found = mask(tmp_path / "out")
    assert (found[1, 3:5] == 2).all()  # the middle of the disc's first row
    assert done.label_set.palette == ((0, 0, 0), (128, 64, 128), (0, 0, 142))


def test_cvat_of_a_video(tmp_path):
    (tmp_path / "annotations.xml").write_text("<annotations><track id='0' label='car'/></annotations>")
    with pytest.raises(InputError, match="tracks of a video; export the task as 'CVAT for images'"):
        convert("cvat", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("names", ["{0: road, 1: car}", "[road, car]", "\n- road\n- car"])
def test_yolo_layout_of_its_own_tools(tmp_path, names):
    """images/train beside labels/train; a missing or empty file is background; points beyond 1 are cut."""
    source = tmp_path / "source"
    for stem in ("a", "b", "c"):
        picture(source / "images" / "train" / f"{stem}.jpg")
    picture(source / "images" / "val" / "d.jpg")
    labels = source / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("0 0 0.6 1.02 0.6 1.02 1.1 0 1.1\n")
    (labels / "b.txt").write_text("")
    lists = "path: /datasets/x\ntrain: images/train\nval: images/val\n"
    (source / "data.yaml").write_text(f"{lists}names: {names}\n")
    done = convert("yolo", source, tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), filled(ROAD))
    assert not mask(tmp_path / "out", "b").any()
    assert not mask(tmp_path / "out", "d").any()
    assert done.splits == {"train": 3, "val": 1}
    assert done.counts["pictures without a file of labels, all background"] == 2
    assert done.counts["shapes that reach out of their picture, cut off"] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1 1", "1 objects have a box and no outline"),
        ("0 10 10 90 10 90 90", "the coordinate 90 is no share"),
        ("2 0 0 1 0 1 1", "the class 2, where there are 2"),
        ("0 0 0 1 0 1", "a class and pairs of coordinates"),
        ("0 0 0 x 0 1 1", "a number was expected"),
    ],
)
def test_yolo_lines_that_are_none(tmp_path, line, message):
    source = label_tools.yolo(tmp_path / "source")
    (source / "train" / "labels" / "a.txt").write_text(line)
    with pytest.raises((InputError, FormatError), match=message):
        convert("yolo", source, tmp_path / "out")


def test_supervisely_holes_and_tags(tmp_path):
    source = tmp_path / "source"
    for stem, tag in (("a", "train"), ("b", "val")):
        picture(source / "ds" / "img" / f"{stem}.jpg")
        points = {"exterior": pixels(ROAD), "interior": [pixels((3, 7, 6, 9))]}
        shape = {"classTitle": "road", "geometryType": "polygon", "points": points}
        line = {"classTitle": "road", "geometryType": "line", "points": {"exterior": [[0, 0], [1, 1]]}}
        document = {"size": {"height": HEIGHT, "width": WIDTH}, "tags": [{"name": tag}]}
        document["objects"] = [shape, line]
        write_json(source / "ds" / "ann" / f"{stem}.json", document)
    done = convert("supervisely", source, tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), filled(ROAD) & ~filled((3, 7, 6, 9)))
    assert done.splits == {"train": 1, "val": 1}
    assert done.counts["shapes without an area (line), left out"] == 2


def test_label_studio_small_export(tmp_path):
    """JSON-MIN: the values beside the data."""
    picture(tmp_path / "source" / "a.jpg")
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    road = {"x": 0, "y": 60, "width": 100, "height": 40, "rotation": 0, "rectanglelabels": ["road"]}
    car = {"format": "rle", "rle": brush(filled(CAR)), "brushlabels": ["car"]}
    task = {"image": "http://localhost:8080/data/upload/1/a.jpg", "id": 1, "tag": [road | size, car | size]}
    write_json(tmp_path / "source" / "min.json", [task])
    convert("label-studio", tmp_path / "source", tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), np.array([0, 2, 1])[TRUTH])


def test_label_studio_several_annotations(tmp_path):
    source = label_tools.label_studio(tmp_path / "source")
    document = json.loads((source / "project-1.json").read_text())
    document[0]["annotations"].insert(0, {"result": [], "was_cancelled": False})
    document[1]["annotations"] = [{"result": [], "was_cancelled": True}]
    write_json(source / "project-1.json", document)
    with pytest.raises(InputError, match="task 0 has 2 annotations; mark one of them as ground truth"):
        convert("label-studio", source, tmp_path / "out")
    document[0]["annotations"][1]["ground_truth"] = True
    write_json(source / "project-1.json", document)
    done = convert("label-studio", source, tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), np.array([0, 2, 1])[TRUTH])
    assert (done.samples, done.counts["tasks without an annotation, left out"]) == (3, 1)


def test_roboflow_value_that_is_no_class(tmp_path):
    source = label_tools.roboflow(tmp_path / "source")
    (source / "train" / "a_mask.png").write_bytes(png(np.full((HEIGHT, WIDTH), 7, np.uint8)))
    done = convert("roboflow", source, tmp_path / "out")
    assert done.lost == 1
    assert "the value 7 is not in _classes.csv" in done.examples["pictures with something wrong"]


def test_polygons_given_as_one_list(tmp_path):
    source = label_tools.coco(tmp_path / "source", [np.ravel(ring(box)).tolist() for box in (ROAD, CAR)])
    convert("coco", source, tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), np.array([0, 2, 1])[TRUTH])
