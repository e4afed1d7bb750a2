"""Photographs that claim gigabytes in a few bytes are refused; large blank masks are not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from support.damaged import refusal
from support.data_folders import folder

from zoo.datasets import Reading, check, open_dataset
from zoo.errors import FormatError, InputError
from zoo.images import read_image, read_mask

# Behind it a decoder finds a picture of 12592 × 11570 pixels that is filled with its first colour.
GIF = (
    b"GIF87a" + (12592).to_bytes(2, "little") + (11570).to_bytes(2, "little") + b"\x80\0\0" + bytes(6)
    + b",\0\0\0\0\x04\0\x05\0\0\x02\x02D\x01\0;"
)  # fmt: skip


def test_a_gif_of_gigabytes(tmp_path):
    (tmp_path / "m.gif").write_bytes(GIF)
    assert "claims 145,689,440 pixels" in refusal(read_image, tmp_path / "m.gif")


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_blank_picture_of_sixty_megapixels(tmp_path, kind):
    path = tmp_path / f"m.{kind}"
    options = {"compression": "tiff_deflate"} if kind == "tif" else {}
    Image.new("L", (8000, 7500)).save(path, **options)
    assert "claims 60,000,000 pixels" in refusal(read_image, path)
    mask = read_mask(path)
    assert mask.shape == (7500, 8000) and not mask.any()


def test_a_blank_photograph_of_a_telephone_is_read(tmp_path):
    Image.new("RGB", (4000, 3000), "white").save(tmp_path / "m.png")
    assert np.all(read_image(tmp_path / "m.png")[::100, ::100] == 255)


def test_max_pixels_lifts_the_limits_and_sets_one(tmp_path):
    (tmp_path / "m.gif").write_bytes(GIF)
    assert "lifts the limit" in refusal(read_image, tmp_path / "m.gif")
    path = tmp_path / "m.png"
    Image.new("L", (8000, 7500)).save(path)
    assert not read_image(path, max_pixels=60_000_000)[::100, ::100].any()
    for read in (read_image, read_mask):
        assert "60,000,000 pixels are more than the 59,999,999" in refusal(
            lambda file, read=read: read(file, max_pixels=59_999_999), path
        )


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", 1 << 41])
def test_no_number_of_pixels(tmp_path, value):
    Image.new("L", (8, 8)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="max_pixels must be a number of pixels"):
        read_image(tmp_path / "m.png", max_pixels=value)


def test_limits_of_threads_do_not_mix(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    Image.new("L", (20, 20)).save(tmp_path / "m.png")

    def read(limit):
        try:
            return read_image(tmp_path / "m.png", max_pixels=limit).size
        except FormatError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, [400, 399] * 100)) == [1200, 0] * 100
    assert Image.MAX_IMAGE_PIXELS == 50


def test_a_data_set_takes_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    data = folder(tmp_path, 2)
    reading = Reading(max_pixels=48)
    dataset = open_dataset("folder", data, split="all", classes=3, reading=reading)
    assert dataset.shape(0) == dataset.read(0)[1].shape == (6, 8)
    assert check(data, classes=3, reading=reading).ok
    assert not check(data, classes=3).ok
