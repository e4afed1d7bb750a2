"""Masks in colours: tables, noise, and use without converting; grey that was saved as RGB."""

import json

import numpy as np
import pytest
from PIL import Image
from support import label_tools
from support.data_folders import save_image
from support.label_tools import COLORS, HEIGHT, NAMES, TRUTH, WIDTH, colored

from zoo.cli import main
from zoo.datasets import check, open_dataset
from zoo.datasets.colors import bound_of, nearest, read_table
from zoo.datasets.convert import convert
from zoo.errors import FormatError, InputError

TABLES = {
    "labelmap.txt": "# label:color_rgb:parts:actions\n"
    + "".join(f"{name}:{','.join(map(str, color))}::\n" for name, color in COLORS.items()),
    "label_colors.txt": "".join(f"{r} {g} {b}\t\t{name}\n" for name, (r, g, b) in COLORS.items()),
    "plain.csv": "".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in COLORS.items()),
    "headed.csv": "r, g, b, name\n" + "".join(f"{r},{g},{b},{name}\n" for name, (r, g, b) in COLORS.items()),
    "hex.csv": "class;color\n" + "".join(f"{name};#{bytes(color).hex()}\n" for name, color in COLORS.items()),
    "mapping.json": json.dumps(COLORS),
    "list.json": json.dumps([{"name": name, "color": f"#{bytes(c).hex()}"} for name, c in COLORS.items()]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    (tmp_path / name).write_text(TABLES[name])
    assert read_table(tmp_path / name) == COLORS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "road\n"),
        ("a.txt", "road:1,2,300::\n"),
        ("a.txt", "road:1,2,3\nroad:4,5,6\n"),
        ("a.txt", "road:1,2,3\ncar:1,2,3\n"),
        ("a.csv", "road,1,2\n"),
        ("a.json", '{"road": [1, 2]}'),
        ("a.json", "[1]"),
        ("a.json", "[" * 100_000),
        ("a.csv", ""),
    ],
)
def test_tables_that_are_none(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError) as raised:
        read_table(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_nearest_within_the_bound():
    colors = [(0, 0, 0), (100, 0, 0), (110, 0, 0)]
    assert bound_of(colors) == 4.5
    assert bound_of([(0, 0, 0), (255, 255, 255)]) == 32
    pixels = np.array([[(0, 0, 0), (4, 0, 0), (5, 0, 0), (104, 0, 0), (107, 0, 0), (0, 0, 30)]], np.uint8)
    found = nearest(pixels, colors)
    assert found.positions.tolist() == [[0, 0, -1, 1, 2, -1]]
    assert (found.inexact, found.far, found.example) == (3, 2, (0, 0, 30))
    assert nearest(pixels, colors, distance=30).positions.tolist() == [[0, 0, 0, 1, 2, 0]]


@pytest.mark.parametrize("quality", [95, 75])
def test_jpeg_noise(tmp_path, quality):
    """Every pixel is of its class or ignored; those away from the borders are of their class."""
    source = label_tools.color_folder(tmp_path / "source", ".jpg", quality=quality)
    done = convert("colors", source, tmp_path / "out")
    with Image.open(tmp_path / "out" / "masks" / "a.png") as image:
        found = np.asarray(image)
    truth = TRUTH.repeat(8, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(found[found != 255], truth[found != 255])
    assert (found == 255).mean() < 0.1
    assert done.counts["pixels of a colour near that of their class"] > 0
    assert done.counts["pixels of a colour of no class, ignored"] == done.ignored > 0


def test_colors_of_another_table_are_refused(tmp_path, capsys):
    source = label_tools.color_folder(tmp_path / "source")
    (source / "colors.csv").write_text("a,9,99,9\nb,200,200,0\n")
    words = ["dataset", "convert", "colors", str(source), "--output", str(tmp_path / "out")]
    assert main(words) == 2
    assert "most of them (0, 0, 0): another table?" in capsys.readouterr().err


def test_colors_that_are_found(tmp_path, capsys):
    source = label_tools.color_folder(tmp_path / "source")
    (source / "colors.csv").unlink()
    assert main(["dataset", "check", str(source)]) == 1
    assert "4 masks are in colours: #000000, #00008e, #804080; write a table" in capsys.readouterr().out
    done = convert("colors", source, tmp_path / "out")
    assert done.label_set.names == ("#000000", "#00008e", "#804080")
    assert read_table(tmp_path / "out" / "colors.csv")["#804080"] == COLORS["road"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_without_converting(tmp_path, capsys, suffix):
    options = {"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}
    source = label_tools.color_folder(tmp_path / "source", suffix, **options)
    if suffix == ".jpg":  # blocks of one colour, so that noise is small everywhere
        for path in (source / "masks").iterdir():
            Image.fromarray(colored().repeat(8, axis=0).repeat(8, axis=1)).save(
                path, quality=95, subsampling=0
            )
    table = source / "colors.csv"
    assert main(["dataset", "check", str(source), "--colors", str(table)]) == 0, capsys.readouterr()
    dataset = open_dataset("folder", source, split="all", colors=table)
    assert dataset.label_set.names == NAMES
    assert dataset.label_set.palette == tuple(COLORS.values())
    _, mask = dataset.read(0)
    step = 8 if suffix == ".jpg" else 1
    np.testing.assert_array_equal(mask, TRUTH.repeat(step, axis=0).repeat(step, axis=1))


def test_void_in_a_table_never_counts(tmp_path):
    source = label_tools.color_folder(tmp_path / "source")
    (source / "t.json").write_text(
        json.dumps({"Void": [0, 0, 0], "car": [0, 0, 142], "road": [128, 64, 128]})
    )
    dataset = open_dataset("folder", source, split="all", colors=source / "t.json")
    assert dataset.label_set.names == ("car", "road")
    np.testing.assert_array_equal(dataset.read(0)[1], np.array([255, 1, 0])[TRUTH])


def test_a_colour_of_no_class_is_refused_in_place(tmp_path):
    source = label_tools.color_folder(tmp_path / "source")
    (source / "t.json").write_text(json.dumps({"background": [0, 0, 0], "road": [128, 64, 128]}))
    dataset = open_dataset("folder", source, split="all", colors=source / "t.json")
    with pytest.raises(FormatError, match=r"24 pixels have a colour of no class, such as \(0, 0, 142\)"):
        dataset.read(0)
    with pytest.raises(InputError, match="a table of colours names the classes"):
        open_dataset("folder", source, split="all", colors=source / "t.json", classes=3)
    with pytest.raises(InputError, match="colors is an option of the kind 'folder'"):
        open_dataset("voc2012", source, split="all", colors=source / "t.json")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_grey_saved_as_rgb(tmp_path, mode):
    save_image(tmp_path / "images" / "a.png", (HEIGHT, WIDTH))
    (tmp_path / "masks").mkdir()
    Image.fromarray(TRUTH).convert(mode).save(tmp_path / "masks" / "a.png")
    report = check(tmp_path, classes=3)
    assert report.ok
    np.testing.assert_array_equal(open_dataset("folder", tmp_path, split="all", classes=3).read(0)[1], TRUTH)


def test_transparent_grey_is_no_index(tmp_path):
    save_image(tmp_path / "images" / "a.png", (HEIGHT, WIDTH))
    (tmp_path / "masks").mkdir()
    image = Image.fromarray(TRUTH).convert("RGBA")
    image.putalpha(Image.fromarray((TRUTH > 0).astype(np.uint8) * 255))
    image.save(tmp_path / "masks" / "a.png")
    report = check(tmp_path, classes=3)
    assert "this file has RGBA pixels" in report.splits[0].problems[0].message
