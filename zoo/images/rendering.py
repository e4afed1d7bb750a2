"""Masks made visible: palette images, and overlays with a legend of the classes that are there."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from zoo.errors import InputError
from zoo.images.classes import checked_mask, class_counts, uncolored
from zoo.images.legend import entries, with_legend
from zoo.labels import MOST_IN_A_BYTE, Color, LabelSet

_BORDER = (255, 255, 255)
_BORDER_OPACITY = 0.7
_ROWS = 512  # of an overlay that are blended at once


def palette_image(mask: np.ndarray, label_set: LabelSet) -> Image.Image:
    """A mask as a palette image: pixel values are class indices, colours are those of the classes.

    Args:
        mask: ``(height, width)`` class indices.
        label_set: At most 256 classes. An ignore label is shown in the off-white of PASCAL VOC's void.

    Returns:
        Pillow image in mode ``P``; saved as PNG it brings its palette along.

    Raises:
        InputError: Not a mask, an index that is no class, or more classes than a palette can hold.
    """
    if len(label_set) > MOST_IN_A_BYTE:
        raise InputError(
            f"a palette holds {MOST_IN_A_BYTE} colours, {label_set.key} has {len(label_set)} classes"
        )
    image = Image.fromarray(np.ascontiguousarray(checked_mask(mask, label_set), np.uint8))
    colors: list[Color] = [(0, 0, 0)] * MOST_IN_A_BYTE
    colors[: len(label_set)] = label_set.palette
    if label_set.ignore_label is not None and len(label_set) <= label_set.ignore_label < MOST_IN_A_BYTE:
        colors[label_set.ignore_label] = (224, 224, 192)
    image.putpalette([channel for color in colors for channel in color])
    return image


def overlay(
    image: np.ndarray,
    mask: np.ndarray,
    label_set: LabelSet,
    *,
    opacity: float = 0.55,
    legend: bool = True,
    min_share: float = 0.001,
    unsure: np.ndarray | None = None,
) -> np.ndarray:
    """The image under the colours of its classes, with thin borders and a legend.

    The upper left ``(height, width)`` of the result is the image at its own size; the legend stands to the
    right of an upright or small image and below a wide one. A class at index 0 that is named "background",
    and ignored pixels, leave the image as it is.

    Args:
        image: ``(height, width, 3)`` uint8, RGB.
        mask: ``(height, width)`` class indices.
        label_set: Names and colours of the classes.
        opacity: Of the colours, 0…1.
        legend: Whether to add the legend; without it the result has the size of the image.
        min_share: Classes with a smaller share of the mask are counted together in the legend's last entry.
        unsure: ``(height, width)`` bool: pixels that are striped, or `None`.

    Returns:
        ``(height + legend, width + legend, 3)`` uint8, RGB.

    Raises:
        InputError: Shapes or types that do not fit, an index that is no class, an opacity outside 0…1.
    """
    image, mask = np.asarray(image), checked_mask(mask, label_set)
    if image.dtype != np.uint8 or image.shape != (*mask.shape, 3):
        raise InputError(
            f"the image of a {mask.shape} mask must be {(*mask.shape, 3)} uint8,"
            f" not {image.shape} {image.dtype}"
        )
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must be in 0…1, not {opacity!r}")
    if unsure is not None and (np.shape(unsure) != mask.shape or np.asarray(unsure).dtype != bool):
        raise InputError(f"unsure must be {mask.shape} bool, not {np.shape(unsure)}")
    blended, thickness = np.empty_like(image), border_thickness(mask.shape)
    for top in range(0, len(mask), _ROWS):  # in bounded memory
        rows, first = slice(top, top + _ROWS), max(0, top - thickness)
        known = mask[first : top + _ROWS + thickness]
        inner = slice(top - first, top - first + len(mask[rows]))
        how = {"opacity": opacity, "inner": inner, "thickness": thickness}
        blended[rows] = blended_rows(image[rows], known, label_set, **how)
    picture = Image.fromarray(blended)
    if unsure is not None:
        picture = _striped(picture, np.asarray(unsure))
    shown = entries(class_counts(mask, label_set), label_set, min_share) if legend else ()
    return np.array(with_legend(picture, shown) if shown else picture)


def blended_rows(
    image: np.ndarray,
    mask: np.ndarray,
    label_set: LabelSet,
    *,
    opacity: float,
    inner: slice | tuple[slice, slice],
    thickness: int,
) -> np.ndarray:
    """A part of an overlay without a legend, as `overlay` gives it of the whole.

    Args:
        image: ``(rows, width, 3)`` uint8 of the inner rows.
        mask: ``(more rows, width)``: those, and `thickness` pixels on every side as far as the image goes.
        label_set: Names and colours of the classes.
        opacity: Of the colours, 0…1.
        inner: Which rows of `mask`, or rows and columns, are those of `image`.
        thickness: See `border_thickness`.
    """
    alphas = _border_alpha(mask, thickness)[inner] if opacity else None
    return np.asarray(
        _composed(Image.fromarray(np.ascontiguousarray(image)), mask[inner], label_set, opacity, alphas)
    )


def border_thickness(size: tuple[int, ...]) -> int:
    """Width in pixels of the lines between classes, about 1/700 of the image's side."""
    return 2 * int(math.sqrt(math.prod(size)) / 1400) + 1


def _composed(
    image: Image.Image, mask: np.ndarray, label_set: LabelSet, opacity: float, borders: np.ndarray | None
) -> Image.Image:
    size = max(len(label_set), int(mask.max()) + 1)
    colors = np.zeros((size, 3), np.uint8)
    colors[: len(label_set)] = label_set.palette
    alphas = np.full(size, round(opacity * 255), np.uint8)
    alphas[[index for index in uncolored(label_set) if index < size]] = 0
    blended = Image.composite(Image.fromarray(colors[mask]), image, Image.fromarray(alphas[mask]))
    if borders is not None:
        border = Image.new("RGB", image.size, _BORDER)
        blended = Image.composite(border, blended, Image.fromarray(np.ascontiguousarray(borders)))
    return blended


def _border_alpha(mask: np.ndarray, thickness: int) -> np.ndarray:
    """Opacity, ``(height, width)`` uint8, of lines between the classes."""
    edges = np.zeros(mask.shape, bool)
    edges[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    edges[:-1] |= mask[1:] != mask[:-1]
    for axis in (0, 1):
        edges = _widened(edges, thickness, axis)
    return edges * np.uint8(round(255 * _BORDER_OPACITY))


def _widened(edges: np.ndarray, thickness: int, axis: int) -> np.ndarray:
    """Whether any of `thickness` pixels around one along an axis is set; in steps that double."""
    edges, radius = np.moveaxis(edges, axis, 0), thickness // 2
    for sign in (1, -1):
        done, whole = 0, edges
        while done < radius:
            step = min(done + 1, radius - done)
            wider = whole.copy()
            if sign > 0:
                wider[step:] |= whole[:-step]
            else:
                wider[:-step] |= whole[step:]
            done, whole = done + step, wider
        edges = whole
    return np.moveaxis(edges, 0, axis)


def _striped(image: Image.Image, where: np.ndarray) -> Image.Image:
    """Slanted black and white stripes over some pixels, which no class has."""
    period = 4 * max(1, round(math.sqrt(where.size) / 300))
    rows, columns = np.ogrid[: where.shape[0], : where.shape[1]]
    stripes = np.where((rows + columns) % period < period // 2, 255, 0).astype(np.uint8)
    alpha = Image.fromarray(np.where(where, np.uint8(round(255 * _BORDER_OPACITY)), np.uint8(0)))
    return Image.composite(Image.fromarray(stripes).convert("RGB"), image, alpha)
