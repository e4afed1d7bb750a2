"""What differs between writers of one format: spellings of paths and ids, further shapes, refusals."""

import json

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.label_encodings import png
from support.label_tools import CAR, HEIGHT, ROAD, TRUTH, WIDTH, filled, picture, pixels, write_json

from zoo.datasets.convert import convert
from zoo.errors import FormatError, InputError

CAR_FIRST = np.array([0, 2, 1])[TRUTH]


def mask(folder, name="a"):
    with Image.open(folder / "masks" / f"{name}.png") as image:
        return np.asarray(image)


def coco(root, *, file="a.jpg", text=None, segmentations=None, change=lambda document: None):
    """A file of one picture, changed."""
    picture(root / file)
    document = label_tools.coco_document(["a"], segmentations or label_tools.polygons())
    document["images"][0]["file_name"] = text or file
    change(document)
    write_json(root / "annotations.json", document)
    return root


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("below/a.jpg", "below/a.jpg"),
        ("below\\a.jpg", "below/a.jpg"),
        ("./a.jpg", "images/a.jpg"),
        ("https://host.org/x/a.jpg?token=1", "a.jpg"),
        ("https://host.org/x/my%20street.jpg", "my street.jpg"),
        ("my%20street.jpg", "my%20street.jpg"),
        ("s3://bucket/key/a.jpg", "images/a.jpg"),
        ("A.JPG", "a.jpg"),
        ("Below/a.jpg", "below/A.jpg"),
    ],
)
def test_coco_paths(tmp_path, text, file):
    source = coco(tmp_path / "source", file=file, text=text)
    convert("coco", source, tmp_path / "out")
    (found,) = (tmp_path / "out" / "masks").iterdir()
    np.testing.assert_array_equal(mask(tmp_path / "out", found.stem), CAR_FIRST)


def test_the_exact_spelling_counts_first(tmp_path):
    for name in ("a%20b.jpg", "a b.jpg"):
        picture(tmp_path / "source" / name, size=(3, 3) if "%" not in name else (HEIGHT, WIDTH))
    source = coco(tmp_path / "source", file="a%20b.jpg")
    done = convert("coco", source, tmp_path / "out")
    assert (done.samples, done.lost) == (1, 0)


def test_upper_case_that_fits_twice_is_asked_about(tmp_path):
    for folder in ("x", "y"):
        picture(tmp_path / "source" / folder / "a.jpg")
    source = coco(tmp_path / "source", file="b.jpg", text="A.jpg")
    with pytest.raises(InputError, match=r"A\.jpg: several pictures fit: x/a\.jpg, y/a\.jpg"):
        convert("coco", source, tmp_path / "out")


def as_text(document):
    for row in (*document["images"], *document["annotations"]):
        row["id"] = str(row["id"])
    for row in document["annotations"]:
        row["image_id"] = str(row["image_id"])


def as_floats(document):
    for row in document["annotations"]:
        row["category_id"], row["image_id"] = float(row["category_id"]), float(row["image_id"])


def without_size(document):
    del document["images"][0]["height"]
    document["images"][0]["width"] = None


def with_others(document):
    """A picture that is not there, and annotations of it and of none."""
    document["images"].append({"id": 99, "file_name": "absent.jpg", "height": 10, "width": 16})
    for number, image in ((50, 99), (51, 12345)):
        extra = {"id": number, "image_id": image, "category_id": 7}
        document["annotations"].append(extra | {"segmentation": label_tools.polygons()[0]})


@pytest.mark.parametrize("change", [as_text, as_floats, without_size, with_others])
def test_coco_ids_and_gaps(tmp_path, change):
    done = convert("coco", coco(tmp_path / "source", change=change), tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), CAR_FIRST)
    assert done.lost == (change is with_others)


def test_coco_categories_of_the_same_name_are_one(tmp_path):
    def change(document):
        document["categories"] = [{"id": 7, "name": "thing"}, {"id": 3, "name": "thing"}]

    done = convert("coco", coco(tmp_path / "source", change=change), tmp_path / "out")
    assert done.label_set.names == ("background", "thing")
    np.testing.assert_array_equal(mask(tmp_path / "out"), TRUTH > 0)


@pytest.mark.parametrize(("crowd", "value"), [("ignore", 255), ("class", 1), ("background", 0)])
def test_coco_crowd_in_plain_runs(tmp_path, crowd, value):
    def change(document):
        document["annotations"][1]["iscrowd"] = 1

    source = coco(tmp_path / "source", segmentations=label_tools.plain_runs(), change=change)
    convert("coco", source, tmp_path / "out", crowd=crowd)
    wanted = np.where(filled(ROAD), 2, np.where(filled(CAR), value, 0))
    np.testing.assert_array_equal(mask(tmp_path / "out"), wanted)


def test_labelme_turned_rectangle(tmp_path):
    """As X-AnyLabeling writes it: four corners."""
    picture(tmp_path / "source" / "a.jpg")
    shapes = [
        {"label": name, "points": pixels(box), "shape_type": kind}
        for name, box, kind in (("road", ROAD, "rectangle"), ("car", CAR, "rotation"))
    ]
    write_json(tmp_path / "source" / "a.json", {"imagePath": "a.jpg", "shapes": shapes})
    convert("labelme", tmp_path / "source", tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), CAR_FIRST)


def test_yolo_key_points_are_no_outline(tmp_path):
    source = label_tools.yolo(tmp_path / "source")
    (source / "data.yaml").write_text("kpt_shape: [2, 2]\nnames: [road, car]\n")
    with pytest.raises(InputError, match="key points"):
        convert("yolo", source, tmp_path / "out")


@pytest.mark.parametrize("test", ["", "test: # optional\n"])
def test_yolo_that_lists_the_same_pictures_twice_has_no_parts(tmp_path, test):
    source = label_tools.yolo(tmp_path / "source")
    text = f"train: train/images\nval: train/images\n{test}names: {{0: road, 1: car}}\n"
    (source / "data.yaml").write_text(text)
    done = convert("yolo", source, tmp_path / "out")
    assert done.samples == 3
    assert not [*(tmp_path / "out").glob("train.txt"), *(tmp_path / "out").glob("val.txt")]
    (source / "data.yaml").write_text(text.replace("val: train/images", "val: [train/images, val/images]"))
    with pytest.raises(InputError, match="is in the splits train and val"):
        convert("yolo", source, tmp_path / "again")


def test_label_studio_masks_without_their_pictures(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "task-1-annotation-1-by-1-tag-car-0.png").write_bytes(png(TRUTH))
    with pytest.raises(InputError, match="do not say of which picture they are; export JSON"):
        convert("label-studio", tmp_path, tmp_path / "out")


def test_tools_that_are_not_read_name_those_that_are(tmp_path):
    with pytest.raises(InputError, match=r"'labelbox'; known: coco, labelme, .*many others export COCO"):
        convert("labelbox", tmp_path, tmp_path / "out")


@pytest.mark.parametrize("table", [False, True])
def test_palettes_of_pascal_voc(tmp_path, table):
    """Its colours in a palette, with void; with CVAT's table of names, and without any."""
    source, values = tmp_path / "source", TRUTH.copy()
    values[0] = 255
    image = Image.fromarray(values)
    image.putpalette([*(0, 0, 0), *(128, 0, 0), *(0, 128, 0), *[0] * 756, *(224, 224, 192)])
    for name in ("a", "b"):
        picture(source / "JPEGImages" / f"{name}.jpg")
        (source / "SegmentationClass").mkdir(exist_ok=True)
        image.save(source / "SegmentationClass" / f"{name}.png")
    if table:
        (source / "labelmap.txt").write_text("background:0,0,0::\nroad:128,0,0::\ncar:0,128,0::\n")
    done = convert("colors", source, tmp_path / "out")
    names = ("background", "road", "car") if table else ("#000000", "#008000", "#800000")
    assert (done.label_set.names, done.ignored) == (names, 32)
    order = [0, 1, 2] if table else [0, 2, 1]
    np.testing.assert_array_equal(
        mask(tmp_path / "out"), np.where(values == 255, 255, np.array(order)[TRUTH])
    )


# --- VGG Image Annotator ----------------------------------------------------------------------------------


def via(root, change):
    source = label_tools.via(root)
    path = source / "train" / "via_region_data.json"
    write_json(path, change(json.loads(path.read_text())))
    return source


def of_version_1(document):
    for row in document.values():
        row["regions"] = {str(number): region for number, region in enumerate(row["regions"])}
    return document


def a_project(document):
    return {"_via_settings": {}, "_via_img_metadata": document, "_via_attributes": {"region": {}}}


def ticked(document):
    for row in document.values():
        for region in row["regions"]:
            name = region["region_attributes"]["class"]
            region["region_attributes"] = {"class": {name: True, "other": False}, "note": "text"}
    return document


@pytest.mark.parametrize("change", [of_version_1, a_project, ticked])
def test_via_versions(tmp_path, change):
    convert("via", via(tmp_path / "source", change), tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), CAR_FIRST)


def test_via_circles_and_open_shapes(tmp_path):
    def change(document):
        shapes = [
            {"name": "circle", "cx": 8, "cy": 5, "r": 2},
            {"name": "ellipse", "cx": 3, "cy": 5, "rx": 3, "ry": 1, "theta": np.pi / 2},
            {"name": "polyline", "all_points_x": [0, 1], "all_points_y": [0, 1]},
            {"name": "point", "cx": 1, "cy": 1},
        ]
        regions = [{"shape_attributes": shape, "region_attributes": {"class": "disc"}} for shape in shapes]
        for row in document.values():
            row["regions"] = regions
        return document

    done = convert("via", via(tmp_path / "source", change), tmp_path / "out")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    disc = np.hypot(columns - 8, rows - 5) <= 2
    upright = (columns - 3) ** 2 + ((rows - 5) / 3) ** 2 <= 1
    np.testing.assert_array_equal(mask(tmp_path / "out") > 0, disc | upright)
    assert done.counts["shapes without an area (polyline), left out"] == 3


def test_via_without_attributes_is_one_class(tmp_path):
    source = label_tools.via(tmp_path / "source")
    for path in source.glob("*/*.json"):
        document = json.loads(path.read_text())
        for row in document.values():
            for region in row["regions"]:
                region["region_attributes"] = {}
        write_json(path, document)
    done = convert("via", source, tmp_path / "out")
    assert done.label_set.names == ("background", "object")
    np.testing.assert_array_equal(mask(tmp_path / "out"), TRUTH > 0)
    assert done.counts["files without attributes, whose regions are 'object'"] == 2


def renamed(root, **names):
    """The data set with its attribute under other names."""
    source = label_tools.via(root)
    for path in source.glob("*/*.json"):
        document = json.loads(path.read_text())
        for row in document.values():
            for region in row["regions"]:
                label = region["region_attributes"]["class"]
                region["region_attributes"] = {name: value or label for name, value in names.items()}
        write_json(path, document)
    return source


def test_via_several_attributes_are_asked_about(tmp_path):
    source = renamed(tmp_path / "one", surface="", state="wet")
    with pytest.raises(InputError, match="regions have the attributes 'surface', 'state'; which one names"):
        convert("via", source, tmp_path / "out")
    convert("via", renamed(tmp_path / "two", state="wet", Label=""), tmp_path / "out")
    np.testing.assert_array_equal(mask(tmp_path / "out"), CAR_FIRST)
    with pytest.raises(FormatError, match="kind: a label is a name of 1 to 200 characters, not ' '"):
        convert("via", renamed(tmp_path / "three", kind=" "), tmp_path / "again")
