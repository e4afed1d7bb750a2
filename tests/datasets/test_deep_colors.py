"""Colour of 16 bits: `read_image` and reading by windows agree on all of them, or say what can be done."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from support.png import png

from zoo.datasets import Reading, open_dataset
from zoo.errors import FormatError
from zoo.images import read_image

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 4096, (300, 24, 3))  # more rows than are put together at once
VALUES[0, 0] = 4095
WANT = np.round(VALUES * (255 / 4095))


def tiff(path, values, **options) -> None:
    """A TIFF of ``(height, width, bands)`` uint16, written by GDAL."""
    rasterio = pytest.importorskip("rasterio", reason="extra geo")
    height, width, count = values.shape
    shape = {"height": height, "width": width, "count": count, "dtype": "uint16", "photometric": "RGB"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **shape, **options) as file:
            file.write(np.moveaxis(values, -1, 0).astype(np.uint16))


def test_twelve_bits_of_a_png(tmp_path):
    (tmp_path / "a.png").write_bytes(png(VALUES, bits=16, kind=2))
    with pytest.raises(FormatError, match=r"a.png: its 16 bits hold 12 or fewer.* --bits 12"):
        read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", bits=12), WANT)
    assert read_image(tmp_path / "a.png", bits=16).max() == 15
    with pytest.raises(FormatError, match=r"a.png: the value 4095 does not fit 11 bits"):
        read_image(tmp_path / "a.png", bits=11)


@pytest.mark.parametrize("kind", [4, 6])
def test_transparency_stays_beside_twelve_bits(tmp_path, kind):
    colors = VALUES[..., :1] if kind == 4 else VALUES
    alpha = np.full((*VALUES.shape[:2], 1), 65535)
    alpha[:9] = 0
    (tmp_path / "a.png").write_bytes(png(np.dstack([colors, alpha]), bits=16, kind=kind))
    want = np.broadcast_to(WANT[..., :1] if kind == 4 else WANT, WANT.shape)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", bits=12, alpha="ignore"), want)
    found = read_image(tmp_path / "a.png", bits=12)
    assert (found[:9] == 255).all()
    np.testing.assert_array_equal(found[9:], want[9:])


def test_the_transparent_colour_is_that_of_all_bits(tmp_path):
    values = RNG.integers(0, 65536, (6, 5, 3))
    values[1, 1], values[2, 2] = (0xC812, 0x6434, 0x3256), (0xC812, 0x6434, 0x3257)
    chunk = (b"tRNS", struct.pack(">HHH", *map(int, values[1, 1])))
    (tmp_path / "a.png").write_bytes(png(values, bits=16, kind=2, chunks=(chunk,)))
    want = values >> 8
    want[1, 1] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), want)
    (tmp_path / "a.png").write_bytes(png(values >> 4, bits=16, kind=2, chunks=(chunk,)))
    with pytest.raises(FormatError, match="--bits 12"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
@pytest.mark.parametrize("options", [{}, {"compress": "deflate", "predictor": 2}, {"tiled": True}])
def test_twelve_bits_of_a_tiff_as_by_windows(tmp_path, options, order):
    from zoo.images import rasters

    path = tmp_path / "a.tif"
    sides = {"blockxsize": 16, "blockysize": 16} if "tiled" in options else {}
    tiff(path, VALUES, endianness=order, **options, **sides)
    np.testing.assert_array_equal(read_image(path, bits=12), WANT)
    with rasters.opened(path, bits=12) as raster:
        np.testing.assert_array_equal(raster.rows(0, len(VALUES)), WANT)


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
def test_bands_one_behind_the_other(tmp_path, order):
    values = RNG.integers(0, 65536, (20, 24, 3))
    plain, packed = tmp_path / "plain.tif", tmp_path / "packed.tif"
    tiff(plain, values, interleave="band", endianness=order)
    tiff(packed, values, interleave="band", endianness=order, compress="deflate")
    np.testing.assert_array_equal(read_image(plain), values >> 8)
    np.testing.assert_array_equal(read_image(packed), values >> 8)
    tiff(plain, VALUES, interleave="band", endianness=order)
    tiff(packed, VALUES, interleave="band", endianness=order, compress="deflate")
    np.testing.assert_array_equal(read_image(plain, bits=12), WANT)
    with pytest.raises(FormatError, match=r"packed.tif: 12 bits are not read .* without planes"):
        read_image(packed, bits=12)


def test_orientation_and_crops_of_twelve_bits(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # a quarter to the right
    chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png(VALUES, bits=16, kind=2, chunks=(chunk,)))
    Image.fromarray(np.zeros((24, 300), np.uint8)).save(tmp_path / "masks" / "a.png")
    data = open_dataset("folder", tmp_path, split="all", classes=2, reading=Reading(bits=12, exif="apply"))
    np.testing.assert_array_equal(data.read(0)[0], np.rot90(WANT, -1))
    images, _ = next(iter(data.as_tf(batch_size=1, crop=(24, 30))))
    np.testing.assert_array_equal(images.numpy()[0], np.rot90(WANT, -1)[:, 135:165])
