"""Files whose bands, depth, sign or orientation can be read in two ways: asked about, never guessed."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from support.tiff_files import write_tiff

from zoo.cli import main
from zoo.datasets import Reading, check, open_dataset
from zoo.errors import FormatError, InputError
from zoo.images import read_image, read_mask
from zoo.images.read import _HUSH

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 140, (20, 24, 3), dtype=np.uint8)


def with_infrared(low=0, high=140) -> np.ndarray:
    return np.dstack([COLOR, RNG.integers(low, high, COLOR.shape[:2], dtype=np.uint8)])


@pytest.mark.parametrize("high", [40, 140, 256])
def test_a_fourth_band_of_measurements_is_asked_about(tmp_path, high):
    Image.fromarray(with_infrared(high=high)).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=r"a.png: .*such as infrared: --alpha ignore drops it"):
        read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", alpha="ignore"), COLOR)
    assert read_image(tmp_path / "a.png", alpha="white").mean() > COLOR.mean() + 20


@pytest.mark.parametrize("extra", [(), (0,), (2,)])
def test_a_fourth_band_of_a_tiff(tmp_path, extra):
    write_tiff(tmp_path / "a.tif", with_infrared(), photometric=2, extra=extra)
    if extra != (0,):  # the file itself says that the band is no transparency
        with pytest.raises(FormatError, match="--alpha ignore drops it"):
            read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", alpha="ignore"), COLOR)


def test_transparency_is_still_white(tmp_path):
    alpha = np.full(COLOR.shape[:2], 255, np.uint8)
    alpha[:8] = 0
    alpha[8] = np.linspace(0, 255, 24)  # a soft edge
    Image.fromarray(np.dstack([COLOR, alpha])).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert (found[:8] == 255).all()
    np.testing.assert_array_equal(found[9:], COLOR[9:])
    assert (read_image(tmp_path / "a.png", alpha="ignore") == COLOR).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_twelve_bits_in_sixteen(tmp_path, suffix):
    values = RNG.integers(0, 4096, (20, 24), dtype=np.uint16)
    values[0, 0] = 4095
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path)
    with pytest.raises(FormatError, match="16 bits whose largest value is 4095: say --bits 12"):
        read_image(path)
    found = read_image(path, bits=12)[..., 0]
    np.testing.assert_array_equal(found, np.round(values * (255 / 4095)))
    assert read_image(path, bits=16).max() == 16
    with pytest.raises(FormatError, match="the value 4095 does not fit 10 bits"):
        read_image(path, bits=10)
    Image.fromarray((values << 4).astype(np.uint16)).save(path)
    assert read_image(path).max() == 255


def test_twelve_bits_of_colour(tmp_path):
    write_tiff(tmp_path / "a.tif", RNG.integers(0, 4096, (20, 24, 3), dtype=np.uint16), photometric=2)
    with pytest.raises(FormatError, match="nearly black: save it with 8 bits"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", bits=16).max() <= 16


@pytest.mark.parametrize(
    ("samples", "kind", "words"),
    [
        (np.zeros((4, 4, 5), np.uint8), 1, "5 bands of 8-bit unsigned numbers"),
        (np.zeros((4, 4, 3), np.float32), 3, "3 bands of 32-bit floating-point numbers"),
        (np.zeros((4, 4, 7), np.uint16), 1, "7 bands of 16-bit unsigned numbers"),
        (np.zeros((4, 4, 1), np.float64), 3, "1 band of 64-bit floating-point numbers"),
    ],
)
def test_bands_and_types_that_are_not_read_are_named(tmp_path, samples, kind, words):
    write_tiff(tmp_path / "a.tif", samples, kind=kind)
    for read in (read_image, read_mask):
        with pytest.raises(FormatError, match=rf"a.tif: a TIFF of {words}"):
            read(tmp_path / "a.tif")


def test_masks_where_0_is_white_are_refused(tmp_path):
    labels = RNG.integers(0, 3, (4, 4, 1), dtype=np.uint8)
    write_tiff(tmp_path / "m.tif", labels, photometric=0)
    with pytest.raises(FormatError, match="0 is white"):
        read_mask(tmp_path / "m.tif")
    write_tiff(tmp_path / "m.tif", labels, photometric=1)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), labels[..., 0])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_negative_labels_are_refused(tmp_path, dtype):
    labels = np.array([[0, 1], [2, -1]], dtype)
    write_tiff(tmp_path / "m.tif", labels[..., np.newaxis], kind=2)
    with pytest.raises(FormatError, match="class indices are 0 or more, this mask has -1"):
        read_mask(tmp_path / "m.tif")
    write_tiff(tmp_path / "m.tif", np.abs(labels)[..., np.newaxis], kind=2)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), np.abs(labels))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"exif": "no"}, "exif must be one of"), ({"alpha": 1}, "alpha must be"), ({"bits": 7}, "bits must be")],
)
def test_other_arguments_are_refused(tmp_path, options, message):
    for call in (lambda: read_image(tmp_path / "a.png", **options), lambda: Reading(**options)):
        with pytest.raises(InputError, match=message):
            call()


# --- orientation --------------------------------------------------------------------------------


def turned_photos(path, *, shape, mask_shape, orientation=6):
    """Two photographs with an EXIF orientation, whose masks have another shape."""
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True)
    exif = Image.Exif()
    exif[274] = orientation
    for name in "ab":
        pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / "images" / f"{name}.jpg", exif=exif)
        mask = RNG.integers(0, 2, mask_shape, dtype=np.uint8)
        Image.fromarray(mask).save(path / "masks" / f"{name}.png")
    return path


def test_masks_that_fit_the_stored_pixels(tmp_path, capsys):
    data = turned_photos(tmp_path, shape=(8, 12), mask_shape=(8, 12))
    report = check(data, classes=2)
    assert [path.name for path in report.splits[0].turned] == ["a.jpg", "b.jpg"]
    assert all("--exif raw reads it as stored, which fits" in p.message for p in report.splits[0].problems)
    assert main(["dataset", "check", str(data), "--classes", "2", "--exif", "raw"]) == 0
    assert "turned by their EXIF orientation: a.jpg, b.jpg" in capsys.readouterr().out
    image, mask = open_dataset("folder", data, split="all", classes=2, reading=Reading(exif="raw")).read(0)
    assert image.shape[:2] == mask.shape == (8, 12)


def test_masks_that_fit_the_turned_pixels_are_right(tmp_path):
    data = turned_photos(tmp_path, shape=(8, 12), mask_shape=(12, 8))
    assert check(data, classes=2).ok
    assert open_dataset("folder", data, split="all", classes=2).read(0)[0].shape == (12, 8, 3)
    problems = check(data, classes=2, reading=Reading(exif="raw")).splits[0].problems
    assert [problem.kind for problem in problems] == ["size", "size"]


@pytest.mark.parametrize(("shape", "orientation"), [((8, 8), 6), ((8, 12), 3), ((8, 12), 2)])
def test_masks_that_fit_both_ways_are_asked_about(tmp_path, shape, orientation):
    data = turned_photos(tmp_path, shape=shape, mask_shape=shape, orientation=orientation)
    (problem,) = check(data, classes=2).splits[0].problems
    assert problem.kind == "exif"
    assert "2 images, such as a.jpg, turn by their EXIF orientation" in problem.message
    for exif in ("apply", "raw"):
        assert check(data, classes=2, reading=Reading(exif=exif)).ok
    stored = open_dataset("folder", data, split="all", classes=2, reading=Reading(exif="raw")).read(0)[0]
    upright = open_dataset("folder", data, split="all", classes=2, reading=Reading(exif="apply")).read(0)[0]
    assert (stored != upright).any()


def test_reading_in_threads_leaves_the_warnings_of_others_alone(tmp_path):
    Image.fromarray(COLOR).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with _HUSH.limited(None), pytest.warns(UserWarning, match="of another"):
            warnings.warn("of another", stacklevel=1)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(read_image, [tmp_path / "a.png"] * 200))
        assert warnings.filters == before
