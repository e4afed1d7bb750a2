"""Rules of `zoo dataset convert`: overlaps, crowds, what is not covered, names, splits and EXIF."""

import json

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.label_tools import HEIGHT, WIDTH, picture, pixels, ring, write_json

from zoo.cli import main
from zoo.datasets.convert import convert
from zoo.errors import InputError

LEFT, RIGHT, SMALL = (0, 0, 8, 10), (4, 0, 16, 10), (5, 2, 7, 4)


def coco(root, boxes, *, crowd=(), extra=None, size=(HEIGHT, WIDTH)):
    """One picture with boxes of the classes 1, 2 and so on."""
    picture(root / "a.jpg", size=size)
    annotations = [
        {"id": n, "image_id": 1, "category_id": n + 1, "iscrowd": int(n in crowd)}
        | {"segmentation": [np.ravel(ring(box)).tolist()]}
        for n, box in enumerate(boxes)
    ]
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": size[0], "width": size[1]}],
        "annotations": annotations,
        "categories": [{"id": n + 1, "name": f"c{n + 1}"} for n in range(max(len(boxes), 2))],
    }
    write_json(root / "instances.json", document | (extra or {}))
    return root


def mask(folder, name="a"):
    with Image.open(folder / "masks" / f"{name}.png") as image:
        return np.asarray(image)


def test_overlaps(tmp_path):
    source = coco(tmp_path / "source", [SMALL, LEFT, RIGHT])
    found = {}
    for rule in ("last", "smallest", "ignore"):
        done = convert("coco", source, tmp_path / rule, overlap=rule)
        found[rule] = mask(tmp_path / rule)
    expected = np.full((HEIGHT, WIDTH), 3)
    expected[:, :4] = 2
    np.testing.assert_array_equal(found["last"], expected)
    expected[:, 4:8] = 2
    expected[2:4, 5:7] = 1
    np.testing.assert_array_equal(found["smallest"], expected)
    expected[:, 4:8] = 255
    np.testing.assert_array_equal(found["ignore"], expected)
    assert done.counts["pixels of overlaps between classes"] == 4 + 40


def test_crowds_lie_beneath(tmp_path):
    source = coco(tmp_path / "source", [SMALL, LEFT], crowd=[1])
    for rule, value in (("ignore", 255), ("class", 2), ("background", 0)):
        done = convert("coco", source, tmp_path / rule, crowd=rule)
        found = mask(tmp_path / rule)
        assert (found[2:4, 5:7] == 1).all()
        assert (found[:, :4] == value).all()
        assert done.counts[f"crowds, as {rule}"] == 1


def test_unlabelled_pixels(tmp_path):
    source = coco(tmp_path / "source", [SMALL, (0, 0, 2, 2)])
    assert convert("coco", source, tmp_path / "out").label_set.names == ("background", "c1", "c2")
    done = convert("coco", source, tmp_path / "ignored", unlabelled="ignore")
    assert done.label_set.names == ("c1", "c2")
    assert (done.pixels, done.ignored) == ((4, 4), HEIGHT * WIDTH - 8)


@pytest.mark.parametrize(("rule", "value"), [("background", 0), ("ignore", 255), ("skip", None)])
def test_pictures_without_an_annotation(tmp_path, rule, value):
    source = label_tools.coco(tmp_path / "source")
    path = source / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"annotations": []}))
    done = convert("coco", source, tmp_path / "out", empty=rule)
    assert done.counts[f"pictures without a region, as {rule}"] == 1
    assert done.samples == 4 - (rule == "skip")
    if value is not None:
        assert (mask(tmp_path / "out", "d") == value).all()


def test_boxes_without_an_outline_are_asked_about(tmp_path, capsys):
    source = coco(tmp_path / "source", [LEFT, SMALL])
    document = json.loads((source / "instances.json").read_text())
    document["annotations"][1] |= {"segmentation": [], "bbox": [5, 2, 2, 2]}
    write_json(source / "instances.json", document)
    assert main(["dataset", "convert", "coco", str(source), "--output", str(tmp_path / "out")]) == 2
    assert "1 objects have a box and no outline" in capsys.readouterr().err
    convert("coco", source, tmp_path / "fill", boxes="fill")
    assert (mask(tmp_path / "fill")[2:4, 5:7] == 2).all()
    convert("coco", source, tmp_path / "ignore", boxes="ignore")
    assert (mask(tmp_path / "ignore") == 255).sum() == 4


def labelme(root, labels, name="a"):
    picture(root / f"{name}.jpg")
    shapes = [
        {"label": label, "points": pixels((n, 0, n + 1, HEIGHT)), "shape_type": "rectangle"}
        for n, label in enumerate(labels)
    ]
    shapes = [{**shape, "points": shape["points"][::2]} for shape in shapes]
    write_json(root / f"{name}.json", {"imagePath": f"{name}.jpg", "imageData": None, "shapes": shapes})
    return root


def test_labels_that_differ_in_case(tmp_path):
    source = labelme(tmp_path / "source", ["Car", "car", "road"])
    with pytest.raises(InputError, match="'Car' and 'car' differ in upper case only: --ignore-case"):
        convert("labelme", source, tmp_path / "out")
    done = convert("labelme", source, tmp_path / "out", ignore_case=True)
    assert done.label_set.names == ("background", "Car", "road")
    assert mask(tmp_path / "out")[0, :4].tolist() == [1, 1, 2, 0]


def test_named_classes_in_their_order(tmp_path, capsys):
    source = labelme(tmp_path / "source", ["Car", "car", "road", "tree"])
    (tmp_path / "names.txt").write_text("road\ncar\n")
    words = ["dataset", "convert", "labelme", str(source), "--classes", str(tmp_path / "names.txt")]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "classes.txt").read_text().split() == ["background", "road", "car"]
    assert mask(tmp_path / "out")[0, :5].tolist() == [2, 2, 1, 0, 0]
    assert "1 shapes whose label is none of --classes, such as tree in a.jpg" in capsys.readouterr().out
    with pytest.raises(InputError, match="none of the classes bus, lorry is a label of the data"):
        convert("labelme", source, tmp_path / "other", classes=["bus", "lorry"])


def test_background_and_ignored_labels(tmp_path):
    source = labelme(tmp_path / "source", ["_background_", "__ignore__", "road"])
    done = convert("labelme", source, tmp_path / "out")
    assert done.label_set.names == ("_background_", "road")
    assert mask(tmp_path / "out")[0, :4].tolist() == [0, 255, 1, 0]


@pytest.mark.parametrize(("labels", "count"), [([], 1), ([f"c{n}" for n in range(300)], 301)])
def test_number_of_classes(tmp_path, labels, count):
    with pytest.raises(InputError, match=f"there can be 2 to 255 classes, the data have {count}"):
        convert("labelme", labelme(tmp_path / "source", labels), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pictures_of_the_same_name(tmp_path):
    for name in ("one", "two"):
        labelme(tmp_path / "source" / name, ["road"])
    labelme(tmp_path / "source" / "two", ["road"], "A")
    convert("labelme", tmp_path / "source", tmp_path / "out")
    names = sorted(path.stem for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["one-a", "two-A", "two-a-2"]


def test_missing_pictures_are_counted_and_told(tmp_path, capsys):
    source = label_tools.coco(tmp_path / "source")
    (source / "train2017" / "b.jpg").unlink()
    picture(source / "train2017" / "c.jpg", size=(5, 5))
    words = ["dataset", "convert", "coco", str(source), "--output", str(tmp_path / "out")]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "1 annotations without their picture, such as b.jpg" in out
    assert "such as train2017/c.jpg: 5x5 pixels, but its annotation is for 16x10" in out
    document = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert (document["samples"], document["lost"]) == (2, 2)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_of_a_tool_that_applies_it(tmp_path, orientation):
    """The picture is stored as it is seen, and the mask fits one way only."""
    size = (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)
    source = labelme(tmp_path / "source", ["road"])
    picture(source / "a.jpg", size=size, orientation=orientation)
    convert("labelme", source, tmp_path / "out")
    with Image.open(tmp_path / "out" / "images" / "a.png") as image:
        assert image.size == (WIDTH, HEIGHT)
        assert image.getexif().get(274, 1) == 1
    np.testing.assert_array_equal(mask(tmp_path / "out")[0, :3], [1, 0, 0])


def test_exif_that_is_open_is_asked_about(tmp_path):
    source = coco(tmp_path / "source", [(0, 0, 1, 10), SMALL])
    picture(source / "a.jpg", size=(HEIGHT, WIDTH), orientation=3)
    with pytest.raises(InputError, match=r"fits either way: say --exif apply or --exif raw"):
        convert("coco", source, tmp_path / "out")
    convert("coco", source, tmp_path / "apply", exif="apply")
    convert("coco", source, tmp_path / "raw", exif="raw")
    assert (mask(tmp_path / "apply")[:, 0] == 1).all()
    np.testing.assert_array_equal(mask(tmp_path / "raw"), mask(tmp_path / "apply")[::-1, ::-1])


def test_exif_that_the_annotation_settles(tmp_path):
    source = coco(tmp_path / "source", [(0, 0, 1, 10), SMALL])
    picture(source / "a.jpg", size=(HEIGHT, WIDTH), orientation=6)
    convert("coco", source, tmp_path / "out")
    found = mask(tmp_path / "out")
    assert found.shape == (WIDTH, HEIGHT)
    assert (found[0] == 1).all()  # turned by 90° clockwise, the left column is the top row
