"""Annotation files from strangers: strange values, sizes that ask for memory, paths that lead away."""

import base64
import json
import os
import random
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.label_encodings import png
from support.label_tools import HEIGHT, WIDTH, picture, pixels, write_json

from zoo.datasets.convert import convert
from zoo.errors import FormatError, InputError, ZooError

JSON = {
    "labelme": (label_tools.labelme, "train/a.json"),
    "coco": (label_tools.coco, "annotations/instances_train2017.json"),
    "coco panoptic": (label_tools.panoptic, "annotations/panoptic_train2017.json"),
    "supervisely": (label_tools.supervisely, "train/ann/a.jpg.json"),
    "label-studio": (label_tools.label_studio, "project-1.json"),
    "via": (label_tools.via, "train/via_region_data.json"),
}
STRANGE = (
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "x" * 300,
    "../../a",
    [],
    [[]],
    [None],
    {},
    {"id": 1},
    float("nan"),
    "\0",
)


def places(document, path=()):
    yield path
    if isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document[:2])
        for key, value in items:
            yield from places(value, (*path, key))


def changed(document, path, value):
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = changed(document[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("name", JSON)
def test_any_value_in_place_of_another(tmp_path, name):
    make, file = JSON[name]
    source = make(tmp_path / "source")
    whole = json.loads((source / file).read_text())
    every = [(path, value) for path in places(whole) for value in STRANGE]
    for number, (path, value) in enumerate(random.Random(0).sample(every, min(len(every), 50))):
        (source / file).write_text(json.dumps(changed(whole, path, value)))
        try:
            convert(name.partition(" ")[0], source, tmp_path / f"out{number}")
        except ZooError as error:
            assert "\n" not in str(error), (path, value)
            assert len(str(error)) < 2000
        except Exception as error:
            raise AssertionError(f"{path} {value!r}: {error!r}") from error
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("out")) == ["source"]


@pytest.mark.parametrize(
    ("format", "make", "file"),
    [
        ("cvat", label_tools.cvat, "annotations.xml"),
        ("yolo", label_tools.yolo, "data.yaml"),
        ("yolo", label_tools.yolo, "train/labels/a.txt"),
        ("cvat", label_tools.cvat_masks, "labelmap.txt"),
        ("roboflow", label_tools.roboflow, "train/_classes.csv"),
    ],
)
def test_damaged_text(tmp_path, format, make, file):
    source = tmp_path / "source"
    source.mkdir()
    path, chance = make(source) / file, random.Random(1)
    whole = path.read_bytes()
    for number in range(25):
        at, length = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:at] + chance.randbytes(chance.randrange(4)) + whole[at + length :])
        try:
            convert(format, source, tmp_path / f"out{number}")
        except ZooError as error:
            assert "\n" not in str(error)


def test_entities_are_not_expanded(tmp_path):
    label_tools.cvat(tmp_path / "source")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for text in (laughs, f'<!ENTITY l8 SYSTEM "file://{secret}">'):
        document = f"<?xml version='1.0'?><!DOCTYPE a [{text}]><annotations>&l8;</annotations>"
        (tmp_path / "source" / "annotations.xml").write_text(document)
        with pytest.raises(FormatError, match="a DOCTYPE, which is not read"):
            convert("cvat", tmp_path / "source", tmp_path / "out")
    (tmp_path / "source" / "annotations.xml").write_text("<annotations>" + "<a>" * 100_000)
    with pytest.raises(FormatError, match="elements more than 64 deep"):
        convert("cvat", tmp_path / "source", tmp_path / "out")


def test_references_of_yaml_are_not_followed(tmp_path):
    source = label_tools.yolo(tmp_path / "source")
    (source / "data.yaml").write_text("a: &a [x, x]\nnames: [*a, *a]\n")
    with pytest.raises(FormatError, match="references"):
        convert("yolo", source, tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "../../outside.jpg",
        "..\\outside.jpg",
        "file:///tmp/outside.jpg",
        "gs://bucket/outside.jpg",
    ],
)
def test_nothing_outside_of_the_folder_is_read(tmp_path, text):
    outside = picture(tmp_path / "outside.jpg")
    source = label_tools.coco(tmp_path / "source")
    path = source / "annotations" / "instances_train2017.json"
    document = json.loads(path.read_text())
    document["images"][0]["file_name"] = str(outside) if text == "/tmp" else text
    write_json(path, document)
    done = convert("coco", source, tmp_path / "out")
    assert done.counts["annotations without their picture"] == 1
    assert sorted(path.stem for path in (tmp_path / "out" / "images").iterdir()) == ["b", "c", "d"]


def test_names_do_not_lead_out_of_the_result(tmp_path):
    """A picture inside an annotation is named after its path's last part."""
    source = tmp_path / "source"
    data = picture(tmp_path / "a.jpg").read_bytes()
    shapes = [{"label": "road", "points": pixels((0, 0, 4, 4)), "shape_type": "polygon"}]
    document = {"imagePath": "../../../evil.jpg", "shapes": shapes}
    write_json(source / "b.json", document | {"imageData": base64.b64encode(data).decode()})
    convert("labelme", source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["evil.jpg"]
    assert not list(tmp_path.glob("evil*"))


def grown(call):
    """Bytes that a call holds at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def supervisely_with(root, data, origin=(0, 0)):
    picture(root / "img" / "a.jpg")
    write_json(root / "meta.json", {"classes": [{"title": "car"}]})
    bitmap = {"data": base64.b64encode(data).decode(), "origin": list(origin)}
    figure = {"classTitle": "car", "geometryType": "bitmap", "bitmap": bitmap}
    write_json(root / "ann" / "a.jpg.json", {"size": {"height": HEIGHT, "width": WIDTH}, "objects": [figure]})
    return root


def test_small_files_take_little_memory(tmp_path):
    def runs(root):
        return label_tools.coco(root, [{"size": [HEIGHT, WIDTH], "counts": [0, 1 << 39]}] * 2)

    def size(root):
        return label_tools.coco(root, [{"size": [1 << 20, 1 << 20], "counts": [1 << 39]}] * 2)

    def zeros(root):
        return supervisely_with(root, zlib.compress(bytes(64 << 20)))

    def large(root):
        return supervisely_with(root, zlib.compress(png(Image.new("1", (9000, 9000)))))

    for number, (format, make) in enumerate(
        [("coco", runs), ("coco", size), ("supervisely", zeros), ("supervisely", large)]
    ):
        source = make(tmp_path / f"source{number}")

        def run(format=format, source=source, number=number):
            with pytest.raises(InputError, match="no picture could be converted"):
                convert(format, source, tmp_path / f"out{number}")

        assert grown(run) < 32 << 20, format


def test_links_to_folders_are_not_followed(tmp_path):
    source = label_tools.coco(tmp_path / "source")
    picture(tmp_path / "other" / "x.jpg")
    os.symlink(tmp_path / "other", source / "link")
    done = convert("coco", source, tmp_path / "out")
    assert "pictures that no annotation file lists, left out" not in done.counts


def test_parquet_that_is_none(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    source = label_tools.parquet(tmp_path / "source")
    path = next((source / "data").glob("train*"))
    whole, chance = path.read_bytes(), random.Random(2)
    for number in range(25):
        at = chance.randrange(len(whole))
        path.write_bytes(whole[:at] + chance.randbytes(1 + number % 4) + whole[at + 1 + number % 4 :])
        try:
            convert("parquet", source, tmp_path / f"out{number}")
        except ZooError as error:
            assert "\n" not in str(error)
    path.write_bytes(b"PAR1")
    with pytest.raises(FormatError, match="a damaged parquet file"):
        convert("parquet", source, tmp_path / "out")


def test_parquet_of_other_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["a"], "image": [b"x"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="columns with bytes are: image"):
        convert("parquet", tmp_path, tmp_path / "out")


def test_values_beyond_the_named_classes(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    source = label_tools.parquet(tmp_path / "source")
    (source / "id2label.json").write_text('{"0": "a", "1": "b"}')
    with pytest.raises(InputError, match="the value 2 is no class; there are 2"):
        convert("parquet", source, tmp_path / "out")
    (source / "id2label.json").unlink()
    done = convert("parquet", source, tmp_path / "out")
    assert done.label_set.names == ("class 0", "class 1", "class 2")
    with Image.open(tmp_path / "out" / "masks" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), label_tools.TRUTH)
