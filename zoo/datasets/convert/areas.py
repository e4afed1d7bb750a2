"""Which pixels a shape covers: two rules, that of COCO and that of LabelMe, and shapes that are no polygons.

COCO's rule (``rleFrPoly`` of pycocotools): a coordinate is a distance from the corner of the picture, so that
the polygon (0, 0), (2, 0), (2, 2), (0, 2) is four pixels. The outline is rounded to fifths of a pixel; a
pixel of a column belongs where the outline, followed at the middle of the column, has been crossed an odd
number of times above it. LabelMe's rule (`PIL.ImageDraw`): a coordinate is the number of a pixel, and pixels
under the outline belong, so that the same polygon is nine pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from zoo.datasets.convert.model import Area, Patch
from zoo.errors import FormatError

MOST_POINTS = 200_000  # of a shape
_REACH = 16  # how many times the picture's longer side a coordinate may lie away from it
_MOST_CROSSINGS = 50_000_000
_SCALE = 5
_LINE_WIDTH, _POINT_RADIUS = 10, 5  # with which LabelMe's own converter draws lines and points


def points_of(values: object) -> np.ndarray:
    """``(points, 2)`` float64 from ``[x, y, x, y, …]`` or ``[[x, y], …]``.

    Raises:
        FormatError: Anything else, numbers that are not finite, or too many.
    """
    try:
        points = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise FormatError("the points of a shape are pairs of numbers") from None
    if points.ndim == 1 and points.size % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise FormatError("the points of a shape are pairs of finite numbers")
    if len(points) > MOST_POINTS:
        raise FormatError(f"a shape has {len(points):,} points, more than {MOST_POINTS:,}")
    return points


def corner_of(values: object) -> tuple[int, int]:
    """Column and row of the pixel that lies nearest to the corner, of some points."""
    left, top = np.clip(points_of(values).min(axis=0), -1e9, 1e9).astype(int).tolist()
    return left, top


def leaves(points: np.ndarray, height: int, width: int) -> bool:
    """Whether a shape reaches more than a pixel out of the picture."""
    return bool(points.size and ((points < -1).any() or (points > (width + 1, height + 1)).any()))


def coco_polygons(rings: Sequence[np.ndarray]) -> Area:
    """All polygons of one object together, by COCO's rule. Rings of fewer than three points cover nothing."""

    def area(height: int, width: int) -> Patch:
        patches = [_coco_polygon(ring, height, width) for ring in rings if len(ring) > 2]
        return united(patches, height, width)

    return area


def united(patches: Sequence[Patch], height: int, width: int) -> Patch:
    """The pixels of any of several patches."""
    if len(patches) == 1:
        return patches[0]
    mask = np.zeros((height, width), bool)
    for one in patches:
        rows, columns = one.mask.shape
        mask[one.top : one.top + rows, one.left : one.left + columns] |= one.mask
    return Patch(0, 0, mask)


def _coco_polygon(ring: np.ndarray, height: int, width: int) -> Patch:
    check_reach(ring, height, width)
    # Towards zero, as a conversion to `int` in C; what is below zero lies outside either way.
    corners = np.trunc(_SCALE * ring + 0.5).astype(np.int64)
    columns, rows = _crossings(corners, width)
    inside = (columns >= 0) & (columns < width)
    columns, rows = columns[inside], rows[inside]
    if not columns.size:
        return Patch(0, 0, np.zeros((0, 0), bool))
    first, last = int(columns.min()), int(columns.max())
    # The middle of the fifth that lies higher, in pixels; the next whole row below it is the first one
    # crossed.
    tops = np.ceil(np.clip((rows + 0.5) / _SCALE - 0.5, 0, height)).astype(np.int64)
    turns = np.zeros((last - first + 1) * height + 1, np.uint8)
    places, counts = np.unique((columns - first) * height + tops, return_counts=True)
    turns[places] = counts & 1
    mask = np.bitwise_xor.accumulate(turns[:-1]).reshape(last - first + 1, height).T
    return Patch(0, first, mask.astype(bool))


def _crossings(corners: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Column, and the higher of both steps, of each place where an outline passes the middle of a column."""
    following = np.roll(corners, -1, axis=0)
    dx, dy = np.abs((following - corners).T)
    swapped = np.where(dx >= dy, corners[:, 0] > following[:, 0], corners[:, 1] > following[:, 1])
    start = np.where(swapped[:, None], following, corners)
    end = np.where(swapped[:, None], corners, following)
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    # Between steps 5k+2 and 5k+3 lies the middle of column k.
    first = np.maximum(-((2 - low) // _SCALE), 0)
    last = np.minimum((high - 3) // _SCALE, width - 1)
    counts = np.maximum(last - first + 1, 0)
    total = int(counts.sum())
    if total > _MOST_CROSSINGS:
        raise FormatError("a shape whose outline crosses the picture too often")
    edge = np.repeat(np.arange(len(corners)), counts)
    column = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    flat = (dx >= dy)[edge]
    rows = np.empty(total, np.int64)
    rows[flat] = _rows_of_flat(start[edge[flat]], end[edge[flat]], column[flat])
    rows[~flat] = _rows_of_steep(start[edge[~flat]], end[edge[~flat]], column[~flat])
    return column, rows


def _rows_of_flat(start: np.ndarray, end: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Edges that are walked along x: the rounded y on both sides of the middle, the lesser of them."""
    slope = (end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0])
    before = column * _SCALE + 2 - start[:, 0]
    sides = [np.trunc(start[:, 1] + slope * (before + step) + 0.5) for step in (0, 1)]
    return np.minimum(*sides).astype(np.int64)


def _rows_of_steep(start: np.ndarray, end: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Edges that are walked along y: the last y at which the rounded x has not yet passed the middle."""
    span = end[:, 1] - start[:, 1]
    slope = (end[:, 0] - start[:, 0]) / span
    middle = column * _SCALE + 2.5
    guess = np.floor((middle - start[:, 0]) / slope).astype(np.int64)
    found = np.full(len(column), -1, np.int64)
    side = start[:, 0] < middle
    for step in range(3, -4, -1):
        at = np.clip(guess + step, 1, span)
        passed = (np.trunc(start[:, 0] + slope * at + 0.5) < middle) != side
        found = np.where(passed, at, found)
    return start[:, 1] + found - 1


def drawn_polygon(outer: np.ndarray, inner: Sequence[np.ndarray] = ()) -> Area:
    """A polygon by LabelMe's rule; pixels under the outline of a hole belong to the hole."""

    def area(height: int, width: int) -> Patch:
        mask = _drawn(height, width, outer, lambda draw, xy: draw.polygon(xy, fill=1, outline=1))
        for ring in inner:
            mask &= ~_drawn(height, width, ring, lambda draw, xy: draw.polygon(xy, fill=1, outline=1))
        return Patch(0, 0, mask)

    return area


def drawn_rectangle(corners: np.ndarray) -> Area:
    """The pixels from one corner to the other, both included."""
    box = np.array([corners.min(axis=0), corners.max(axis=0)])
    return lambda height, width: Patch(
        0, 0, _drawn(height, width, box, lambda draw, xy: draw.rectangle(xy, fill=1, outline=1))
    )


def drawn_circle(center: np.ndarray, radius: float) -> Area:
    """A disc around the middle of a pixel, as `PIL.ImageDraw` fills it."""
    box = np.array([center - radius, center + radius])
    return lambda height, width: Patch(
        0, 0, _drawn(height, width, box, lambda draw, xy: draw.ellipse(xy, fill=1, outline=1))
    )


def drawn_point(center: np.ndarray) -> Area:
    """A point as LabelMe's converter draws it: a disc of radius 5."""
    return drawn_circle(center, _POINT_RADIUS)


def drawn_line(points: np.ndarray) -> Area:
    """A line as LabelMe's converter draws it: ten pixels wide."""
    return lambda height, width: Patch(
        0, 0, _drawn(height, width, points, lambda draw, xy: draw.line(xy, fill=1, width=_LINE_WIDTH))
    )


def _drawn(height: int, width: int, points: np.ndarray, draw) -> np.ndarray:
    check_reach(points, height, width)
    canvas = Image.new("L", (width, height))
    draw(ImageDraw.Draw(canvas), [tuple(point) for point in points.tolist()])
    return np.asarray(canvas).astype(bool)


def check_reach(points: np.ndarray, height: int, width: int) -> None:
    """`FormatError` for coordinates that can be none of this picture."""
    reach = _REACH * max(height, width, 64)
    if points.size and np.abs(points).max() > reach:
        raise FormatError(
            f"a point lies {np.abs(points).max():.4g} pixels from the corner of a picture of {width}x{height}"
        )


def box(left: float, top: float, right: float, bottom: float, *, turned: float = 0.0) -> Area:
    """A rectangle by COCO's rule, turned clockwise around its middle by `turned` degrees."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return coco_polygons([_turned(corners, turned)])


def ellipse(center: tuple[float, float], radii: tuple[float, float], *, turned: float = 0.0) -> Area:
    """Pixels whose middle lies in an ellipse; coordinates as in COCO's rule."""

    def area(height: int, width: int) -> Patch:
        (cx, cy), (rx, ry) = center, radii
        check_reach(np.array([center, radii]), height, width)
        reach = max(rx, ry)
        left, right = max(math.floor(cx - reach), 0), min(math.ceil(cx + reach), width)
        top, bottom = max(math.floor(cy - reach), 0), min(math.ceil(cy + reach), height)
        if min(rx, ry) <= 0 or left >= right or top >= bottom:
            return Patch(0, 0, np.zeros((0, 0), bool))
        x = np.arange(left, right) + 0.5 - cx
        y = (np.arange(top, bottom) + 0.5 - cy)[:, None]
        cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
        mask = ((x * cos + y * sin) / rx) ** 2 + ((y * cos - x * sin) / ry) ** 2 <= 1
        return Patch(top, left, mask)

    return area


def _turned(corners: np.ndarray, degrees: float) -> np.ndarray:
    if not degrees:
        return corners
    middle, angle = corners.mean(axis=0), math.radians(degrees)
    x, y = (corners - middle).T
    cos, sin = math.cos(angle), math.sin(angle)
    return middle + np.stack([x * cos - y * sin, x * sin + y * cos], axis=1)


def bitmap(mask: np.ndarray, *, top: int = 0, left: int = 0) -> Area:
    """Pixels that are there already; what lies outside of the picture is cut off."""

    def area(height: int, width: int) -> Patch:
        rows = slice(max(-top, 0), max(min(mask.shape[0], height - top), 0))
        columns = slice(max(-left, 0), max(min(mask.shape[1], width - left), 0))
        return Patch(max(top, 0), max(left, 0), mask[rows, columns])

    return area
