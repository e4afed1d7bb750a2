"""``zoo segment`` with files that are large or on a map, and with limits of its own."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from support.window_models import convolution

import zoo.models.loading
from zoo import cli
from zoo.cli import segment_names

PLACE = {"crs": "EPSG:32632", "transform": from_origin(500000, 5400000, 0.5, 0.5)}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The same picture as a TIFF on the map, as a TIFF and as PNG, and a small model."""
    model = convolution(kernel=3)
    monkeypatch.setattr(zoo.models.loading, "load", lambda name, weights="default", **options: model)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 90, 120), dtype=np.uint8)
    options = {"driver": "GTiff", "count": 3, "height": 90, "width": 120, "dtype": "uint8"}
    with rasterio.open(tmp_path / "placed.tif", "w", **options, **PLACE) as target:
        target.write(pixels)
    image = Image.fromarray(np.moveaxis(pixels, 0, -1))
    image.save(tmp_path / "plain.tif")
    image.save(tmp_path / "photo.png")
    return tmp_path


def run(folder, *words):
    return cli.main(["segment", "deeplabv3_aspp", *map(str, words), "--output", str(folder / "out")])


def names(folder):
    return sorted(path.name for path in (folder / "out").iterdir())


def test_a_tiff_on_the_map_stays_there(photos, capsys):
    assert run(photos, photos / "placed.tif", "--tile", 48, "--json", photos / "a.json") == 0
    assert names(photos) == ["placed_mask.tif", "placed_overlay.tif"]
    with rasterio.open(photos / "out" / "placed_mask.tif") as mask:
        assert (mask.crs.to_epsg(), mask.transform) == (32632, PLACE["transform"])
        found = mask.read(1)
    (row,) = json.loads((photos / "a.json").read_text())["images"]
    assert (row["height"], row["width"]) == (90, 120)
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert "placed_mask.tif" in capsys.readouterr().out
    assert run(photos, photos / "photo.png", "--tile", 48) == 0
    assert (np.asarray(Image.open(photos / "out" / "photo_mask.png")) == found).mean() > 0.999


def test_other_files_stay_png(photos, capsys):
    assert run(photos, photos / "plain.tif", "--tile", 48) == 0
    assert names(photos) == ["plain_mask.png", "plain_overlay.png"]
    assert capsys.readouterr().err == ""


def test_a_place_that_is_lost_is_said(photos, capsys, monkeypatch):
    assert run(photos, photos / "placed.tif") == 0
    assert (
        "placed.tif: its place on the map is not kept in PNG files; it is with --tile\n"
        in capsys.readouterr().err
    )
    monkeypatch.setattr("zoo.images.rasters.has_rasterio", lambda: False)
    assert run(photos, photos / "placed.tif", "--tile", 48) == 0
    assert "it is with --tile and pip install 'atrous-zoo[geo]'" in capsys.readouterr().err
    assert names(photos) == ["placed_mask.png", "placed_overlay.png"]


def test_a_large_tiff_is_read_by_windows_or_names_the_extra(photos, capsys, monkeypatch):
    monkeypatch.setattr(segment_names, "_LARGE", 90 * 120 - 1)
    assert run(photos, photos / "plain.tif", "--tile", 48) == 0
    assert names(photos) == ["plain_mask.tif", "plain_overlay.tif"]
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    assert run(photos, photos / "plain.tif", "--tile", 48) == 2
    assert "needs rasterio (pip install 'atrous-zoo[geo]')" in capsys.readouterr().err


def test_an_input_is_never_replaced(photos):
    (photos / "out").mkdir()
    (photos / "placed.tif").rename(photos / "out" / "a.tif")
    (photos / "plain.tif").rename(photos / "out" / "a_mask.tif")
    before = (photos / "out" / "a_mask.tif").read_bytes()
    assert run(photos, photos / "out" / "a.tif", photos / "out" / "a_mask.tif", "--tile", 48) == 0
    assert (photos / "out" / "a_mask.tif").read_bytes() == before
    assert (photos / "out" / "a-2_mask.tif").exists()


def test_max_pixels(photos, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)  # Pillow refuses twice as many
    assert run(photos, photos / "photo.png") == 2
    assert "--max-pixels N decodes up to N pixels" in capsys.readouterr().err
    assert run(photos, photos / "photo.png", "--max-pixels", 90 * 120) == 0
    assert Image.MAX_IMAGE_PIXELS == 5000
    assert run(photos, photos / "photo.png", "--max-pixels", 90 * 120 - 1) == 2
    assert "refused: 10,800 pixels are more than the 10,799 of --max-pixels" in capsys.readouterr().err
    assert run(photos, photos / "photo.png", "--max-pixels", 0) == 2
    assert "max_pixels must be a number of pixels from 1" in capsys.readouterr().err


def test_no_empty_folder_is_left(photos, capsys):
    (photos / "bad.png").write_bytes(b"no picture")
    assert cli.main(["segment", "x", str(photos / "bad.png"), "--output", str(photos / "a" / "b")]) == 2
    assert not (photos / "a").exists()
    (photos / "out").mkdir()
    assert run(photos, photos / "bad.png") == 2
    assert (photos / "out").is_dir()  # which was there before
