"""Pixels of shapes: equal to those of pycocotools, LabelMe and Label Studio, and to masks drawn by hand."""

from pathlib import Path

import numpy as np
import pytest

from zoo.datasets.convert import areas
from zoo.datasets.convert.runs import coco_mask, label_studio_mask, row_mask
from zoo.errors import FormatError

GOLDENS = Path(__file__).parents[2] / "goldens" / "label_masks.npz"
SIZE = (37, 53)


@pytest.fixture(scope="module")
def goldens():
    return np.load(GOLDENS)


def masks_of(packed, count):
    return np.unpackbits(packed, count=count * SIZE[0] * SIZE[1]).reshape(count, *SIZE).astype(bool)


def whole(area, size=SIZE):
    patch, mask = area(*size), np.zeros(size, bool)
    rows, columns = patch.mask.shape
    mask[patch.top : patch.top + rows, patch.left : patch.left + columns] = patch.mask
    return mask


def test_polygons_equal_pycocotools(goldens):
    points, texts = goldens["coco_points"], goldens["coco_texts"]
    expected = masks_of(goldens["coco_masks"], len(texts))
    for ring, mask in zip(points, expected, strict=False):
        np.testing.assert_array_equal(whole(areas.coco_polygons([ring[~np.isnan(ring[:, 0])]])), mask)


def test_runs_as_text_equal_pycocotools(goldens):
    texts = [text.decode() for text in goldens["coco_texts"].tolist()]
    for text, mask in zip(texts, masks_of(goldens["coco_masks"], len(texts)), strict=True):
        np.testing.assert_array_equal(coco_mask(text, *SIZE), mask)


def test_shapes_equal_labelme(goldens):
    makers = {
        "polygon": areas.drawn_polygon,
        "rectangle": areas.drawn_rectangle,
        "circle": lambda ring: areas.drawn_circle(ring[0], float(np.hypot(*(ring[0] - ring[1])))),
        "line": areas.drawn_line,
        "linestrip": areas.drawn_line,
        "point": lambda ring: areas.drawn_point(ring[0]),
    }
    kinds = goldens["labelme_kinds"].tolist()
    expected = masks_of(goldens["labelme_masks"], len(kinds))
    for kind, ring, mask in zip(kinds, goldens["labelme_points"], expected, strict=True):
        np.testing.assert_array_equal(whole(makers[kind](ring[~np.isnan(ring[:, 0])])), mask, kind)


def test_brushes_equal_label_studio(goldens):
    found = label_studio_mask(goldens["brush"].tolist(), *SIZE)
    np.testing.assert_array_equal(found, goldens["brush_mask"])
    assert 0 < found.sum() < found.size


def test_both_rules_on_a_square():
    square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)
    assert whole(areas.coco_polygons([square]), (4, 4)).sum() == 4
    assert whole(areas.drawn_polygon(square), (4, 4)).sum() == 9


def test_a_hole_is_without_its_outline():
    outer = np.array([(0, 0), (6, 0), (6, 6), (0, 6)], float)
    mask = whole(areas.drawn_polygon(outer, [np.array([(2, 2), (4, 2), (4, 4), (2, 4)], float)]), (7, 7))
    assert mask.sum() == 49 - 9
    assert not mask[2:5, 2:5].any()


def test_two_polygons_of_one_object_do_not_cut_each_other():
    rings = [np.array([(0, 0), (3, 0), (3, 3), (0, 3)], float) + shift for shift in (0, 1)]
    assert whole(areas.coco_polygons(rings), (5, 5)).sum() == 9 + 9 - 4


def test_ellipses_and_turned_boxes():
    disc = whole(areas.ellipse((4, 4), (2, 2)), (8, 8))
    expected = [
        "00000000",
        "00000000",
        "00011000",
        "00111100",
        "00111100",
        "00011000",
        "00000000",
        "00000000",
    ]
    assert ["".join(map(str, row.astype(int))) for row in disc] == expected
    np.testing.assert_array_equal(
        whole(areas.box(1, 3, 7, 5, turned=90), (8, 8)), whole(areas.box(3, 1, 5, 7), (8, 8))
    )


def test_bitmaps_are_cut_at_the_border():
    ones = np.ones((3, 3), bool)
    assert whole(areas.bitmap(ones, top=-1, left=-2), (5, 5)).sum() == 2
    assert whole(areas.bitmap(ones, top=4, left=3), (5, 5)).sum() == 2
    assert whole(areas.bitmap(ones, top=9, left=9), (5, 5)).sum() == 0


def test_rows_and_columns():
    expected = np.array([[0, 1, 1], [1, 0, 0]], bool)
    np.testing.assert_array_equal(row_mask([1, 3, 2], 2, 3), expected)
    np.testing.assert_array_equal(coco_mask([1, 2, 1, 1, 1], 2, 3), expected)


@pytest.mark.parametrize(
    "counts",
    [
        [5],
        [7],
        [-1, 7],
        [1 << 62, 1 << 62],
        [1.5, 4.5],
        "6",
        "1",
        "~~~",
        "0" * 7,
        "o",
        "PPPPPPPPPPPPPP",
        None,
        [True, 5],
    ],
)
def test_runs_that_do_not_fill_the_picture(counts):
    with pytest.raises(FormatError, match=r"run"):
        coco_mask(counts, 2, 4)


@pytest.mark.parametrize("change", ["cut", "size", "words", "none"])
def test_damaged_brushes(goldens, change):
    data = goldens["brush"].tolist()
    data = {"cut": data[: len(data) // 2], "size": data, "words": [255] * 40, "none": []}[change]
    with pytest.raises(FormatError, match="a brush"):
        label_studio_mask(data, SIZE[0] + (change == "size"), SIZE[1])


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [[1, 2, 3]], [float("nan")] * 6, ["a"] * 6, [10**400] * 6, {"x": 1}, [[1, 2], [3]]]
)
def test_points_that_are_none(values):
    with pytest.raises(FormatError, match="points of a shape"):
        areas.points_of(values)


def test_points_far_away_take_no_time():
    ring = np.array([(0, 0), (1e9, 0), (1e9, 1e9)])
    for area in (areas.coco_polygons([ring]), areas.drawn_polygon(ring), areas.drawn_line(ring)):
        with pytest.raises(FormatError, match="a point lies 1e"):
            area(*SIZE)
