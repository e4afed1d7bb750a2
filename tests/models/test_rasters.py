"""TIFF files through windows: the masks of `segment`, in every way that a TIFF is stored, and their place."""

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin
from support.window_models import convolution

from zoo.errors import FormatError, InputError
from zoo.images import overlay, rasters, read_image
from zoo.inference import segment, segment_raster
from zoo.layers.resize import label_set_of

HEIGHT, WIDTH = 150, 210
PLACE = {"crs": "EPSG:32632", "transform": from_origin(500000, 5400000, 0.5, 0.5)}
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def model():
    return convolution(kernel=5)


def pixels(bands=3, dtype="uint8", size=(HEIGHT, WIDTH)):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, bands), dtype=np.uint8)
    planes = [np.asarray(Image.fromarray(coarse[..., i]).resize(size[::-1])) for i in range(bands)]
    values = np.stack(planes)
    return values if dtype == "uint8" else values.astype(dtype) * 257 - values % 97


def store(path, values, **options):
    bands, height, width = values.shape
    base = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": values.dtype.name}
    with rasterio.open(path, "w", **{**base, **options}) as target:
        target.write(values)
    return path


STORED = {
    "strips": {},
    "one strip": {"blockysize": HEIGHT},
    "tiles": {"tiled": True, "blockxsize": 64, "blockysize": 32},
    "planar": {"interleave": "band", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "planar strips": {"interleave": "band"},
    "lzw": {"compress": "lzw", "predictor": 2},
    "deflate": {"compress": "deflate", "tiled": True, "blockxsize": 128, "blockysize": 128},
    "packbits": {"compress": "packbits"},
    "jpeg": {"compress": "jpeg", "photometric": "YCBCR", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "big": {"bigtiff": "YES"},
    "motorola": {"endianness": "BIG"},
    "placed": PLACE,
    "turned": {**PLACE, "transform": rasterio.Affine(0.4, -0.3, 5e5, -0.25, -0.45, 5.4e6)},
    "no data": {**PLACE, "nodata": 0},
    "big, planar, tiled": {
        "bigtiff": "YES",
        "interleave": "band",
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
    },
}


@pytest.mark.parametrize("options", STORED.values(), ids=STORED)
def test_the_mask_is_that_of_the_whole_image(tmp_path, model, options):
    path = store(tmp_path / "a.tif", pixels(), **options)
    found = segment_raster(model, path, tmp_path / "m.tif", tile=48, overlay=tmp_path / "o.tif")
    with rasters.opened(path) as source:
        rows = source.rows(0, HEIGHT)
    # Pillow and GDAL decode JPEG's colours a little differently.
    assert np.abs(rows.astype(int) - read_image(path)).mean() < (1 if "jpeg" in options.values() else 1e-9)
    whole = segment(model, rows)
    with rasterio.open(tmp_path / "m.tif") as mask, rasterio.open(tmp_path / "o.tif") as shown:
        assert (mask.read(1) == whole.mask).mean() > 0.999
        assert mask.colormap(1)[1][:3] == tuple(whole.labels.palette[1])
        assert mask.block_shapes == [(512, 512)] and mask.compression.name == "deflate"
        np.testing.assert_array_equal(
            np.moveaxis(shown.read(), 0, -1), overlay(whole.image, mask.read(1), whole.labels, legend=False)
        )
        assert mask.crs == shown.crs == rasterio.open(path).crs
        assert mask.transform == shown.transform == rasterio.open(path).transform
        counts = np.bincount(mask.read(1).ravel(), minlength=len(whole.labels))
    np.testing.assert_array_equal(found.counts, counts)
    assert found.shares()[0][1] == counts.max() / counts.sum()
    assert found.georeferenced == ("crs" in options)


SEEN = pixels(4) // 2 * np.array([1, 1, 1, 2], np.uint8)[:, None, None]
KINDS = {
    "grey": (pixels(1), {}),
    "white is zero": (pixels(1), {"photometric": "MINISWHITE"}),
    "grey with alpha": (pixels(2) // 255 * 255, {"alpha": "YES"}),
    "transparent": (SEEN, {"alpha": "YES"}),
    "sixteen bits": (pixels(1, "uint16"), {}),
    "colour of sixteen bits": (pixels(3, "uint16"), {"photometric": "RGB"}),
    "one bit": (pixels(1) // 128, {"nbits": 1}),
    "big, planar": (
        pixels(3, "uint16"),
        {"photometric": "RGB", "bigtiff": "YES", "interleave": "band", "compress": "deflate"},
    ),
    "transparent, planar": (SEEN, {"alpha": "YES", "interleave": "band", "compress": "lzw"}),
}  # fmt: skip


@pytest.mark.parametrize(("values", "options"), KINDS.values(), ids=KINDS)
def test_rows_are_those_of_the_decoded_image(tmp_path, values, options):
    path = store(tmp_path / "a.tif", values, **options)
    with rasters.opened(path, alpha="white") as source:
        parts = [source.rows(0, 40), source.rows(30, 100)[10:], source.rows(100, HEIGHT)]
    np.testing.assert_array_equal(np.concatenate(parts), read_image(path, alpha="white"))


@pytest.mark.parametrize(
    "options", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}, {"bigtiff": "YES"}]
)
@pytest.mark.parametrize("bands", [3, 4])
def test_planes_of_sixteen_bits(tmp_path, options, bands):
    """Pillow by itself takes the bytes of uncompressed ones for numbers."""
    values = pixels(bands, "uint16")
    options = {"photometric": "RGB", "interleave": "band", "alpha": "YES" if bands == 4 else "NO", **options}
    path = store(tmp_path / "a.tif", values, **options)
    with rasters.opened(path, alpha="ignore") as source:
        np.testing.assert_array_equal(source.rows(0, HEIGHT), np.moveaxis(values[:3] >> 8, 0, -1))
    np.testing.assert_array_equal(read_image(path, alpha="ignore"), np.moveaxis(values[:3] >> 8, 0, -1))
    packed = store(tmp_path / "b.tif", values, compress="lzw", **options)
    np.testing.assert_array_equal(read_image(packed, alpha="ignore"), np.moveaxis(values[:3] >> 8, 0, -1))


def test_a_palette(tmp_path):
    image = Image.fromarray(pixels(1)[0] // 16)
    image.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    image.save(tmp_path / "a.tif")
    with rasters.opened(tmp_path / "a.tif") as source:
        np.testing.assert_array_equal(source.rows(0, HEIGHT), read_image(tmp_path / "a.tif"))


def test_questions_are_asked_of_the_whole_file(tmp_path):
    measured = store(tmp_path / "a.tif", pixels(4), photometric="RGB", alpha="YES")
    for read in (read_image, lambda path: rasters.opened(path).__enter__()):
        with pytest.raises(FormatError, match="--alpha ignore drops it"):
            read(measured)
    with rasters.opened(measured, alpha="ignore") as source:
        np.testing.assert_array_equal(source.rows(0, HEIGHT), read_image(measured, alpha="ignore"))
    dark = pixels(1, "uint16") // 16
    dark[0, -1, -1] = 4095
    path = store(tmp_path / "b.tif", dark)
    with pytest.raises(FormatError, match=r"b\.tif: 16 bits whose largest value is 4095: say --bits 12"):
        rasters.opened(path).__enter__()
    with rasters.opened(path, bits=12) as source:
        np.testing.assert_array_equal(source.rows(0, HEIGHT), read_image(path, bits=12))


def test_colour_of_twelve_bits(tmp_path):
    values = pixels(3, "uint16") // 16
    with rasters.opened(store(tmp_path / "a.tif", values, photometric="RGB"), bits=12) as source:
        wanted = (values.astype(np.uint32) * 255 + 2047) // 4095
        np.testing.assert_array_equal(source.rows(0, HEIGHT), np.moveaxis(wanted, 0, -1))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (pixels(5), {}, "5 bands of 8-bit unsigned"),
        (pixels(1).astype("float32"), {}, "1 band of 32-bit floating-point"),
        (pixels(1).astype("int16"), {}, "1 band of 16-bit signed"),
        (pixels(4), {"photometric": "CMYK"}, "4 bands of 8-bit unsigned"),
    ],
)
def test_what_is_not_read_by_windows(tmp_path, model, values, options, message):
    path = store(tmp_path / "a.tif", values, **options)
    with pytest.raises(FormatError, match=f"a.tif: a TIFF of {message}"):
        segment_raster(model, path, tmp_path / "m.tif", tile=48)
    assert not (tmp_path / "m.tif").exists()


def test_orientation_is_refused_or_left_alone(tmp_path, model):
    image = Image.fromarray(np.moveaxis(pixels(), 0, -1))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "a.tif", exif=exif)
    with pytest.raises(FormatError, match="--exif raw reads it as stored"):
        segment_raster(model, tmp_path / "a.tif", tmp_path / "m.tif", tile=48)
    found = segment_raster(model, tmp_path / "a.tif", tmp_path / "m.tif", tile=48, exif="raw")
    assert found.size == (HEIGHT, WIDTH)


def test_control_points_are_kept(tmp_path, model):
    points = [
        GroundControlPoint(row, col, 10 + col, 50 - row) for row, col in ((0, 0), (0, 9), (9, 0), (9, 9))
    ]
    path = store(tmp_path / "a.tif", pixels(), gcps=points, crs="EPSG:4326")
    segment_raster(model, path, tmp_path / "m.tif", tile=48)
    with rasterio.open(tmp_path / "m.tif") as mask:
        found, crs = mask.gcps
    assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]
    assert crs.to_epsg() == 4326


def test_damaged_files_and_targets(tmp_path, model):
    path = store(tmp_path / "a.tif", pixels(), compress="deflate")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"a\.tif: "):
        segment_raster(model, path, tmp_path / "m.tif", tile=48)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    path = store(tmp_path / "b.tif", pixels())
    for mask, shown in (("b.tif", None), ("m.tif", "m.tif"), ("m.tif", "b.tif")):
        targets = {"mask": tmp_path / mask, "overlay": shown and tmp_path / shown}
        with pytest.raises(InputError, match="must be different files"):
            segment_raster(model, path, targets["mask"], tile=48, overlay=targets["overlay"])
    with pytest.raises(InputError, match="no such file"):
        segment_raster(model, tmp_path / "none.tif", tmp_path / "m.tif", tile=48)
    (tmp_path / "x.tif").write_bytes(b"no picture")
    with pytest.raises(FormatError, match="not a TIFF"):
        segment_raster(model, tmp_path / "x.tif", tmp_path / "m.tif", tile=48)


def test_overlays_are_those_of_the_whole_wherever_they_are_cut(tmp_path, model, monkeypatch):
    monkeypatch.setattr("zoo.inference.rasters._OVERLAY_ROWS", 17)
    monkeypatch.setattr("zoo.inference.rasters._OVERLAY_COLUMNS", 23)
    monkeypatch.setattr("zoo.inference.rasters.border_thickness", lambda size: 7)
    monkeypatch.setattr("zoo.images.rendering.border_thickness", lambda size: 7)
    path = store(tmp_path / "a.tif", pixels())
    segment_raster(model, path, tmp_path / "m.tif", tile=48, overlay=tmp_path / "o.tif")
    with rasterio.open(tmp_path / "m.tif") as mask, rasterio.open(tmp_path / "o.tif") as shown:
        wanted = overlay(read_image(path), mask.read(1), label_set_of(model), legend=False)
        np.testing.assert_array_equal(np.moveaxis(shown.read(), 0, -1), wanted)


def test_files_wider_than_a_block(tmp_path):
    """Blocks are written one by one, the last ones in part."""
    values = np.random.default_rng(0).integers(0, 256, (530, 1100, 3), dtype=np.uint8)
    with rasters.written(tmp_path / "a.tif", values.shape[:2], bands=3) as target:
        for top in range(0, 530, 100):
            target.add(values[top : top + 100])
    with rasterio.open(tmp_path / "a.tif") as source:
        np.testing.assert_array_equal(np.moveaxis(source.read(), 0, -1), values)


def test_rows_do_not_go_back(tmp_path):
    with rasters.opened(store(tmp_path / "a.tif", pixels())) as source:
        source.rows(50, 90)
        with pytest.raises(InputError, match="rows 10 to 20"):
            source.held(10, 20)


def test_without_rasterio(tmp_path, model, monkeypatch):
    path = store(tmp_path / "a.tif", pixels())
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(InputError, match=r"needs rasterio \(pip install 'atrous-zoo\[geo\]'\)"):
        segment_raster(model, path, tmp_path / "m.tif", tile=48)
