import os
import zlib

import numpy as np
import pytest
from PIL import Image

from zoo.errors import FormatError, InputError
from zoo.images import find_images, read_image, read_mask, write_png
from zoo.labels import VOC21

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif"])
def test_lossless_formats_give_the_pixels(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PIXELS).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(path), PIXELS)
    assert read_image(str(path)).dtype == np.uint8


def test_gif_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif") == (255, 0, 0)).all()


# What a camera stores so that the viewer, applying the orientation, shows `upright` (EXIF 2.3, 4.6.4).
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](PIXELS)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_damaged_exif_does_not_lose_the_image(tmp_path):
    good = Image.new("RGB", (16, 16), "red")
    good.save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert read_image(tmp_path / "a.jpg").shape == (16, 16, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix):
    values = np.array([[0, 257, 25700, 32896, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    expected = np.array([[0, 1, 100, 128, 255]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), expected[..., None].repeat(3, -1))


@pytest.mark.parametrize("values", [np.ones((2, 2), np.float32), np.full((2, 2), 1 << 20, np.int32)])
def test_32_bit_values_without_range_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(FormatError, match="32-bit"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_rgb(tmp_path, mode):
    Image.new("L", (3, 2), 255).convert(mode).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()
    assert read_image(tmp_path / "a.png").shape == (2, 3, 3)


def test_alpha_is_composited_onto_white(tmp_path):
    rgba = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 128, 255)):
        rgba.putpixel((x, 0), (200, 0, 0, alpha))
    rgba.save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")[0].astype(int)
    np.testing.assert_allclose(found, [(255, 255, 255), (227, 127, 127), (200, 0, 0)], atol=1)


@pytest.mark.parametrize("transparency", [None, 1])
def test_palette_and_its_transparency(tmp_path, transparency):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    second = (40, 50, 60) if transparency is None else (255, 255, 255)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), [[(10, 20, 30), second]])


def test_grey_with_alpha(tmp_path):
    Image.new("LA", (2, 2), (0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    found = read_image(tmp_path / "a.jpg")[8, 8].astype(int)
    np.testing.assert_allclose(found, (255, 0, 0), atol=6)


def _broken(kind: str, path):
    """A file that cannot be read, and a word that the error must contain."""
    noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8))
    if kind.startswith("truncated"):
        suffix = kind.split()[1]
        path = path.with_suffix(f".{suffix}")
        noise.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path, "damaged"
    if kind == "corrupt":
        path = path.with_suffix(".png")
        noise.save(path)
        data = bytearray(path.read_bytes())
        data[100:2000] = os.urandom(1900)
        path.write_bytes(data)
        return path, "damaged"
    if kind == "bomb":
        header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
        chunks = [
            (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
            for chunk in (header, b"IDAT", b"IEND")
        ]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        return path, "refused"
    path.write_bytes({"empty": b"", "text": b"not\nan image\n" * 9}[kind])
    return path, {"empty": "empty", "text": "not an image"}[kind]


BROKEN = ["truncated jpg", "truncated png", "truncated bmp", "truncated webp", "truncated tif"]


@pytest.mark.parametrize("kind", [*BROKEN, "corrupt", "bomb", "empty", "text"])
def test_bad_files_give_one_line_that_names_them(tmp_path, kind):
    path, word = _broken(kind, tmp_path / "photo.png")
    with pytest.raises(FormatError, match=word) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"nope\.png: no such file"):
        read_image(tmp_path / "nope.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="null"):
        read_image("a\0b.png")


def test_formats_that_start_programs_are_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    with pytest.raises(FormatError, match="not an image"):
        read_image(tmp_path / "a.eps")


MASK = np.array([[0, 1, 2], [20, 255, 3]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp"])
@pytest.mark.parametrize("palette", [False, True])
def test_masks_keep_their_indices(tmp_path, suffix, palette):
    image = Image.fromarray(MASK)
    if palette:
        image.putpalette(list(RNG.integers(0, 256, 768)))
    image.save(tmp_path / f"m.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"m.{suffix}"), MASK)


def test_one_bit_mask_holds_zero_and_one(tmp_path):
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), [[0, 1]])


def test_masks_that_hold_no_indices_are_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "rgb.png")
    with pytest.raises(FormatError, match="one channel"):
        read_mask(tmp_path / "rgb.png")
    Image.fromarray(np.array([[256]], np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(FormatError, match="256"):
        read_mask(tmp_path / "deep.png")
    Image.fromarray(MASK).save(tmp_path / "m.jpg")
    with pytest.raises(FormatError, match="not an image in a format"):
        read_mask(tmp_path / "m.jpg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.png", "x[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["."], ["a.JPG", "b.png", "x[1].png"]),
        (["*.png"], ["b.png", "x[1].png"]),
        (["**/*"], ["a.JPG", "b.png", "sub/c.png", "x[1].png"]),
        (["b.png", "*.png", "./b.png", "sub/../b.png"], ["b.png", "x[1].png"]),
        (["sub", "a.JPG"], ["sub/c.png", "a.JPG"]),
        (["x[1].png"], ["x[1].png"]),
        (["notes.txt"], ["notes.txt"]),
    ],
)
def test_find_images(folder, patterns, expected):
    assert [path.as_posix() for path in find_images(patterns)] == expected


@pytest.mark.parametrize("pattern", ["*.bmp", "nope.png", "empty"])
def test_nothing_found_says_what_was_looked_for(folder, pattern):
    (folder / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        find_images(["b.png", pattern])
    assert pattern in str(caught.value)
    with pytest.raises(InputError, match="no images"):
        find_images([])


def test_write_png_round_trips(tmp_path):
    np.testing.assert_array_equal(read_image(write_png(tmp_path / "a.png", PIXELS)), PIXELS)
    mask = np.array([[0, 3], [20, 1]], np.uint8)
    path = write_png(tmp_path / "m.png", mask, palette=VOC21.palette)
    np.testing.assert_array_equal(read_mask(path), mask)
    assert tuple(read_image(path)[1, 0]) == VOC21.palette[20]
    deep = np.array([[0, 300]], np.uint16)
    assert np.asarray(Image.open(write_png(tmp_path / "d.png", deep))).max() == 300
    assert sorted(os.listdir(tmp_path)) == ["a.png", "d.png", "m.png"]


@pytest.mark.parametrize("shape", [(2, 2, 4), (2,), (0, 3)])
def test_write_png_refuses_what_is_no_image(tmp_path, shape):
    with pytest.raises(InputError, match="a PNG takes"):
        write_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="palette"):
        write_png(tmp_path / "a.png", PIXELS, palette=VOC21.palette)


@pytest.mark.parametrize("colors", [1, 2, 4, 16, 17, 256])
def test_a_short_palette_keeps_every_index(tmp_path, colors):
    """Pillow writes two colours in one bit, in which 255 would be 1."""
    mask = np.array([[0, 1, 3, 16, 255]], np.uint8)
    write_png(tmp_path / "m.png", mask, palette=[(i, i, i) for i in range(colors)])
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch):
    path = write_png(tmp_path / "a.png", PIXELS)
    before = path.read_bytes()

    def full(self, stream, format):
        stream.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"a\.png: No space left on device"):
        write_png(path, PIXELS)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(self, stream, format):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "a.png", PIXELS)
    assert os.listdir(tmp_path) == []


def test_writing_into_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_png(tmp_path / "no" / "a.png", PIXELS)
