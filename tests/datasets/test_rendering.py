import numpy as np
import pytest
from PIL import Image

from zoo.errors import InputError
from zoo.images import class_shares, legend, overlay, palette_image, rendering
from zoo.labels import CAMVID11, VOC21, named, numbered

GREY = np.full((60, 80, 3), 100, np.uint8)


def halves(left: int, right: int, shape=(60, 80)) -> np.ndarray:
    mask = np.full(shape, left, np.uint8)
    mask[:, shape[1] // 2 :] = right
    return mask


def test_shares_are_sorted_and_leave_out_ignored_pixels():
    mask = np.array([[0, 3, 3, 255], [3, 0, 12, 255]], np.uint8)
    shares = class_shares(mask, VOC21)
    assert [name for name, _ in shares] == ["bird", "background", "dog"]
    assert [share for _, share in shares] == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert class_shares(np.full((2, 2), 255, np.uint8), VOC21) == []
    assert class_shares(np.full((2, 2), 11, np.uint8), CAMVID11) == []


def test_shares_of_a_large_mask_count_every_pixel():
    mask = np.zeros((1500, 1501), np.uint8)
    mask[-1, -1] = 1
    assert dict(class_shares(mask, VOC21))["aeroplane"] == pytest.approx(1 / mask.size)


@pytest.mark.parametrize(
    "mask",
    [
        np.full((2, 2), 21),
        np.full((2, 2), -1),
        np.zeros((2, 2)),
        np.zeros((2, 2, 1), int),
        np.zeros((0, 2), int),
        np.array([[255, 254]]),
    ],
)
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(InputError, match="mask"):
        class_shares(mask, VOC21)


def test_palette_image_keeps_indices_and_shows_colours(tmp_path):
    mask = np.array([[0, 3], [20, 255]], np.uint8)
    palette_image(mask, VOC21).save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as saved:
        assert saved.mode == "P"
        np.testing.assert_array_equal(np.asarray(saved), mask)
        shown = np.asarray(saved.convert("RGB"))
    assert [tuple(shown[0, 1]), tuple(shown[1, 0])] == [VOC21.palette[3], VOC21.palette[20]]
    with pytest.raises(InputError, match="256"):
        palette_image(mask, numbered(257))


def test_colours_are_blended_by_the_opacity():
    found = overlay(GREY, halves(7, 15), VOC21, opacity=0.5, legend=False)
    np.testing.assert_allclose(found[30, 5], np.add(VOC21.palette[7], 100) / 2, atol=1)
    np.testing.assert_allclose(found[30, 75], np.add(VOC21.palette[15], 100) / 2, atol=1)
    unchanged = overlay(GREY, halves(7, 15), VOC21, opacity=0, legend=False)
    np.testing.assert_array_equal(unchanged, GREY)


def test_background_and_ignored_pixels_stay_as_they_are():
    found = overlay(GREY, halves(0, 255), VOC21, legend=False)
    assert (found[:, :39] == 100).all()
    assert (found[:, 41:] == 100).all()
    first_class = overlay(GREY, halves(0, 0), named(["black", "b"]), opacity=1, legend=False)
    assert (first_class == 0).all()


def test_a_thin_light_border_runs_between_classes():
    found = overlay(GREY, halves(7, 15), VOC21, legend=False)
    light = (found.min(axis=-1) > 180).all(axis=0)
    assert 1 <= light.sum() <= 2
    assert light[38:42].any()


def test_the_border_of_a_large_image_is_wider():
    mask = halves(0, 1, (2900, 3000))
    assert (
        np.asarray(rendering._border_alpha(mask, rendering.border_thickness(mask.shape)))[1400] > 0
    ).sum() == 5


@pytest.mark.parametrize("size", [(48, 64), (1, 1), (360, 480), (640, 360), (200, 3000), (3000, 4000)])
def test_the_legend_is_beside_the_untouched_image(size):
    image = np.full((*size, 3), 100, np.uint8)
    mask = np.zeros(size, np.uint8)
    mask[:, size[1] // 2 :] = 12
    plain = overlay(image, mask, VOC21, legend=False)
    found = overlay(image, mask, VOC21)
    assert plain.shape == image.shape
    np.testing.assert_array_equal(found[: size[0], : size[1]], plain)
    below, right = found[size[0] :], found[: size[0], size[1] :]
    panels = [panel for panel in (below, right) if panel.size]
    assert panels
    dark = sum(int((panel.max(axis=-1) < 120).sum()) for panel in panels)
    assert dark > 60  # text
    colored = sum(int((panel == VOC21.palette[12]).all(axis=-1).sum()) for panel in panels)
    assert colored > 80  # the swatch
    assert not any((panel == VOC21.palette[3]).all(axis=-1).any() for panel in panels)


def test_a_wide_image_has_its_legend_below_and_a_square_one_beside():
    mask = np.zeros((400, 600), np.uint8)
    assert overlay(np.zeros((400, 600, 3), np.uint8), mask, VOC21).shape[1] == 600
    assert overlay(np.zeros((600, 600, 3), np.uint8), np.zeros((600, 600), np.uint8), VOC21).shape[0] == 600


def test_entries_name_the_classes_and_count_the_small_ones():
    counts = np.zeros(21, int)
    counts[[0, 3, 7, 8]] = [9000, 994, 4, 2]
    entries = legend.entries(counts, VOC21, 0.001)
    assert [(e.name, e.share) for e in entries] == [
        ("background", "90.0 %"),
        ("bird", "9.9 %"),
        ("2 more", "0.1 %"),
    ]
    assert [e.color for e in entries] == [None, VOC21.palette[3], None]
    assert legend.percent(0.0001) == "<0.1 %"
    long = legend.entries(np.array([1]), named(["n" * 100]), 0)[0].name
    assert len(long) == 32
    assert long.endswith("…")


def test_very_many_classes_still_fit():
    mask = np.arange(80 * 60, dtype=np.uint16).reshape(60, 80) % 1000
    found = overlay(GREY, mask, numbered(1000), min_share=0)
    assert found.shape[0] < 500
    assert found.shape[1] < 1500


def test_an_image_without_any_class_has_no_legend():
    found = overlay(GREY, np.full((60, 80), 255, np.uint8), VOC21)
    np.testing.assert_array_equal(found, GREY)


@pytest.mark.parametrize("image", [GREY[:59], GREY.astype(np.float32), GREY[..., 0]])
def test_an_image_that_does_not_fit_is_refused(image):
    with pytest.raises(InputError, match="the image of a"):
        overlay(image, halves(0, 1), VOC21)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_opacity_is_checked(opacity):
    with pytest.raises(InputError, match="opacity"):
        overlay(GREY, halves(0, 1), VOC21, opacity=opacity)
