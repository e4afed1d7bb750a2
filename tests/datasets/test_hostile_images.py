"""Photographs that claim gigabytes in a few bytes are refused; large blank masks are not."""

import numpy as np
import pytest
from PIL import Image
from support.damaged import refusal

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
