"""Masks made visible: palette images, and overlays with a legend of the classes that are there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from zoo.errors import InputError
from zoo.labels import Color, LabelSet

_PANEL = (255, 255, 255)
_TEXT = (31, 41, 51)
_MUTED = (107, 119, 133)
_OUTLINE = (176, 184, 193)
_BORDER = (255, 255, 255)
_BORDER_OPACITY = 0.7

_FONT_SHARE = 0.027  # of the square root of the image's area
_FONT_RANGE = (13, 96)  # pixels; below 13 the bundled font is hard to read
_MIN_ROWS = 8  # beside a small image the legend may be this high before it takes another column
_MAX_ENTRIES = 48
_MAX_NAME = 32  # characters


def class_shares(mask: np.ndarray, label_set: LabelSet) -> list[tuple[str, float]]:
    """Names and shares of the classes in a mask, the largest first.

    Args:
        mask: ``(height, width)`` class indices. Pixels with the ignore label do not count.
        label_set: Names of the classes.

    Returns:
        ``(name, share)`` of every class that occurs; shares are in 0…1 and sum to 1. Empty if every
        pixel is ignored.

    Raises:
        InputError: Not a mask, or an index that is no class.
    """
    counts = _counts(_checked(mask, label_set), label_set)
    return [(label_set.names[index], share) for index, share in _ranked(counts)]


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
    if len(label_set) > 256:
        raise InputError(f"a palette holds 256 colours, {label_set.key} has {len(label_set)} classes")
    image = Image.fromarray(np.ascontiguousarray(_checked(mask, label_set), np.uint8))
    colors: list[Color] = [(0, 0, 0)] * 256
    colors[: len(label_set)] = label_set.palette
    if label_set.ignore_label is not None and len(label_set) <= label_set.ignore_label < 256:
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

    Returns:
        ``(height + legend, width + legend, 3)`` uint8, RGB.

    Raises:
        InputError: Shapes or types that do not fit, an index that is no class, an opacity outside 0…1.
    """
    image, mask = np.asarray(image), _checked(mask, label_set)
    if image.dtype != np.uint8 or image.shape != (*mask.shape, 3):
        raise InputError(
            f"the image of a {mask.shape} mask must be {(*mask.shape, 3)} uint8,"
            f" not {image.shape} {image.dtype}"
        )
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must be in 0…1, not {opacity!r}")
    blended = _blend(Image.fromarray(np.ascontiguousarray(image)), mask, label_set, opacity)
    if legend:
        entries = _entries(_counts(mask, label_set), label_set, min_share)
        blended = _with_legend(blended, entries) if entries else blended
    return np.array(blended)


# --- counting -----------------------------------------------------------------------------------


def _checked(mask: np.ndarray, label_set: LabelSet) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size or mask.dtype.kind not in "iu":
        raise InputError(f"a mask is a (height, width) array of class indices, not {mask.shape} {mask.dtype}")
    low, high, ignore = int(mask.min()), int(mask.max()), label_set.ignore_label
    if ignore is not None and not low <= ignore <= high:
        ignore = None
    if low < 0 or high >= len(label_set):
        outside = mask[(mask < 0) | (mask >= len(label_set))]
        outside = outside if ignore is None else outside[outside != ignore]
        if outside.size:
            raise InputError(
                f"mask has the index {int(outside[0])}, {label_set.key} has the classes"
                f" 0 to {len(label_set) - 1}"
            )
    return mask


def _counts(mask: np.ndarray, label_set: LabelSet) -> np.ndarray:
    size = max(len(label_set), int(mask.max()) + 1)
    counts = np.zeros(size, np.int64)
    for rows in np.array_split(mask, max(1, mask.size >> 20)):  # bincount copies to 64 bits
        counts += np.bincount(rows.ravel(), minlength=size)
    if label_set.ignore_label is not None and label_set.ignore_label < size:
        counts[label_set.ignore_label] = 0
    return counts[: len(label_set)]


def _ranked(counts: np.ndarray) -> list[tuple[int, float]]:
    total = counts.sum()
    order = np.argsort(-counts, kind="stable")
    return [(int(index), float(counts[index] / total)) for index in order if counts[index]]


# --- blending -----------------------------------------------------------------------------------


def _uncolored(label_set: LabelSet) -> list[int]:
    """Indices that leave the image as it is."""
    indices = [0] if label_set.names[:1] == ("background",) else []
    return indices if label_set.ignore_label is None else [*indices, label_set.ignore_label]


def _blend(image: Image.Image, mask: np.ndarray, label_set: LabelSet, opacity: float) -> Image.Image:
    size = max(len(label_set), int(mask.max()) + 1)
    colors = np.zeros((size, 3), np.uint8)
    colors[: len(label_set)] = label_set.palette
    alphas = np.full(size, round(opacity * 255), np.uint8)
    alphas[[index for index in _uncolored(label_set) if index < size]] = 0
    blended = Image.composite(Image.fromarray(colors[mask]), image, Image.fromarray(alphas[mask]))
    if opacity:
        border = Image.new("RGB", image.size, _BORDER)
        blended = Image.composite(border, blended, _border_alpha(mask))
    return blended


def _border_alpha(mask: np.ndarray) -> Image.Image:
    """Opacity (mode ``L``) of lines between the classes, about 1/700 of the image's side wide."""
    edges = np.zeros(mask.shape, np.uint8)
    edges[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    edges[:-1] |= mask[1:] != mask[:-1]
    lines = Image.fromarray(edges * np.uint8(round(255 * _BORDER_OPACITY)))
    thickness = 2 * int(math.sqrt(mask.size) / 1400) + 1
    return lines if thickness == 1 else lines.filter(ImageFilter.MaxFilter(thickness))


# --- legend -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    name: str
    share: str
    color: Color | None  # None: drawn as an empty outline
    plain: bool = False  # without any swatch


def _percent(share: float) -> str:
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def _entries(counts: np.ndarray, label_set: LabelSet, min_share: float) -> list[_Entry]:
    ranked = _ranked(counts)
    shown = [pair for pair in ranked if pair[1] >= min_share][:_MAX_ENTRIES]
    rest = ranked[len(shown) :]
    entries = []
    for index, share in shown:
        name = " ".join(label_set.names[index].split())
        name = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1].rstrip()}…"
        color = None if index in _uncolored(label_set) else label_set.palette[index]
        entries.append(_Entry(name, _percent(share), color))
    if rest:
        share = _percent(sum(share for _, share in rest))
        entries.append(_Entry(f"{len(rest)} more", share, None, plain=True))
    return entries


@dataclass(frozen=True)
class _Metrics:
    """Sizes of a legend, in pixels, all from that of its font."""

    font: ImageFont.FreeTypeFont
    size: int
    name_width: int
    share_width: int

    @classmethod
    def of(cls, entries: Sequence[_Entry], size: int) -> _Metrics:
        font = ImageFont.load_default(size=size)
        return cls(
            font,
            size,
            math.ceil(max(font.getlength(entry.name) for entry in entries)),
            math.ceil(max(font.getlength(entry.share) for entry in entries)),
        )

    @property
    def padding(self) -> int:
        return round(1.1 * self.size)

    @property
    def row(self) -> int:
        return round(1.75 * self.size)

    @property
    def swatch(self) -> int:
        return round(1.05 * self.size)

    @property
    def text_left(self) -> int:
        return self.swatch + round(0.6 * self.size)

    @property
    def column(self) -> int:
        return self.text_left + self.name_width + round(0.9 * self.size) + self.share_width

    @property
    def gap(self) -> int:
        return 2 * self.size

    def width(self, columns: int) -> int:
        return 2 * self.padding + columns * self.column + (columns - 1) * self.gap

    def height(self, rows: int) -> int:
        return 2 * self.padding + rows * self.row


def _with_legend(image: Image.Image, entries: Sequence[_Entry]) -> Image.Image:
    low, high = _FONT_RANGE
    size = round(_FONT_SHARE * math.sqrt(image.width * image.height))
    metrics = _Metrics.of(entries, min(max(size, low), high))
    below = image.width > 1.15 * image.height and image.width >= metrics.width(2)
    if below:
        columns = (image.width - 2 * metrics.padding + metrics.gap) // (metrics.column + metrics.gap)
        rows = math.ceil(len(entries) / columns)
    else:
        fitting = (image.height - 2 * metrics.padding) // metrics.row
        rows = min(max(fitting, _MIN_ROWS), len(entries))
    columns = math.ceil(len(entries) / rows)
    rows = math.ceil(len(entries) / columns)
    width, height = metrics.width(columns), metrics.height(rows)
    corner = (0, image.height) if below else (image.width, 0)
    canvas_size = (
        max(image.width, corner[0] + width),
        max(image.height, corner[1] + height),
    )
    canvas = Image.new("RGB", canvas_size, _PANEL)
    canvas.paste(image, (0, 0))
    for position, entry in enumerate(entries):
        column, row = divmod(position, rows)
        left = corner[0] + metrics.padding + column * (metrics.column + metrics.gap)
        _draw_entry(canvas, entry, (left, corner[1] + metrics.padding + row * metrics.row), metrics)
    return canvas


def _draw_entry(canvas: Image.Image, entry: _Entry, corner: tuple[int, int], metrics: _Metrics) -> None:
    left, top = corner
    middle = top + metrics.row // 2
    if not entry.plain:
        swatch, alpha = _swatch(entry.color, metrics.swatch)
        canvas.paste(swatch, (left, middle - metrics.swatch // 2), alpha)
    draw = ImageDraw.Draw(canvas)
    # Anchored at the baseline, since the middle of a text depends on its letters.
    baseline = middle + round(0.36 * metrics.size)
    name_color = _MUTED if entry.color is None else _TEXT
    draw.text((left + metrics.text_left, baseline), entry.name, name_color, metrics.font, anchor="ls")
    draw.text((left + metrics.column, baseline), entry.share, _MUTED, metrics.font, anchor="rs")


def _swatch(color: Color | None, size: int) -> tuple[Image.Image, Image.Image]:
    """A rounded square and its opacity; drawn at four times its size, for smooth corners."""
    big, radius = 4 * size, round(0.9 * size)
    swatch = Image.new("RGB", (big, big), color or _OUTLINE)
    if color is None:
        line = max(4, big // 14)
        inner = (line, line, big - 1 - line, big - 1 - line)
        ImageDraw.Draw(swatch).rounded_rectangle(inner, radius - line, fill=_PANEL)
    alpha = Image.new("L", (big, big), 0)
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, big - 1, big - 1), radius, fill=255)
    return (
        swatch.resize((size, size), Image.Resampling.BOX),
        alpha.resize((size, size), Image.Resampling.BOX),
    )
