"""The legend of an overlay: a swatch, a name and a share for each class that is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.images.classes import ranked, uncolored
from zoo.labels import Color, LabelSet

_PANEL = (255, 255, 255)
_TEXT = (31, 41, 51)
_MUTED = (107, 119, 133)
_OUTLINE = (176, 184, 193)
_FONT_SHARE = 0.027  # of the square root of the image's area
_FONT_RANGE = (13, 96)  # pixels; below 13 the bundled font is hard to read
_MIN_ROWS = 8  # beside a small image the legend may be this high before it takes another column
_MAX_ENTRIES = 48
_MAX_NAME = 32  # characters


@dataclass(frozen=True)
class Entry:
    """A line of the legend."""

    name: str
    share: str
    color: Color | None  # None: drawn as an empty outline
    plain: bool = False  # without any swatch


def percent(share: float) -> str:
    """A share as it is shown."""
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def entries(counts: np.ndarray, label_set: LabelSet, min_share: float) -> list[Entry]:
    """The classes of at least `min_share`, the largest first; the others together in one line."""
    found = ranked(counts)
    shown = [pair for pair in found if pair[1] >= min_share][:_MAX_ENTRIES]
    rest = found[len(shown) :]
    result = []
    for index, share in shown:
        name = " ".join(label_set.names[index].split())
        name = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1].rstrip()}…"
        color = None if index in uncolored(label_set) else label_set.palette[index]
        result.append(Entry(name, percent(share), color))
    if rest:
        share = percent(sum(share for _, share in rest))
        result.append(Entry(f"{len(rest)} more", share, None, plain=True))
    return result


@dataclass(frozen=True)
class _Metrics:
    """Sizes of a legend, in pixels, all from that of its font."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    size: int
    name_width: int
    share_width: int

    @classmethod
    def of(cls, entries: Sequence[Entry], size: int) -> _Metrics:
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


def with_legend(image: Image.Image, entries: Sequence[Entry]) -> Image.Image:
    """The image with the legend below it, if it is wide, or to its right."""
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


def _draw_entry(canvas: Image.Image, entry: Entry, corner: tuple[int, int], metrics: _Metrics) -> None:
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
