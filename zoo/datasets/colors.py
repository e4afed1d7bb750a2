"""Colour masks: tables of colours, and the class of each pixel by the nearest colour within a bound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.datasets.convert.documents import label_of, read_csv, read_json, read_text
from zoo.errors import FormatError, InputError
from zoo.labels import Color

FAR = -1
_USUAL = 32.0  # distance of JPEG noise; the threshold is half the way to another colour where that is less
_NAMES = ("name", "class", "label", "class_name", "title")


@dataclass(frozen=True)
class Nearest:
    """Pixels against a table.

    Attributes:
        positions: ``(height, width)`` int16, position of the nearest colour, `FAR` beyond the bound.
        inexact: Number of pixels that have another colour than their class.
        far: Number of pixels beyond the bound.
        example: Most frequent colour beyond the bound.
    """

    positions: np.ndarray
    inexact: int
    far: int
    example: Color | None


def nearest(pixels: np.ndarray, colors: Sequence[Color], *, distance: float | None = None) -> Nearest:
    """The class of each pixel of a colour mask.

    Args:
        pixels: ``(height, width, 3)`` uint8.
        colors: Of the classes.
        distance: Largest Euclidean distance in RGB from a class's colour; `None`: 32, or just under half of
            the distance of the two colours that are nearest to one another, where that is less.
    """
    bound = bound_of(colors) if distance is None else distance
    codes = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    values = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.int32)
    best = np.full(len(found), 1 << 30, np.int32)
    at = np.zeros(len(found), np.int16)
    for position, color in enumerate(colors):
        squares = ((values - np.array(color, np.int32)) ** 2).sum(axis=1)
        at = np.where(squares < best, np.int16(position), at)
        best = np.minimum(best, squares)
    far = best > bound**2
    at[far] = FAR
    example = None
    if far.any():
        red, green, blue = values[far][counts[far].argmax()].tolist()
        example = (red, green, blue)
    inexact = int(counts[(best > 0) & ~far].sum())
    return Nearest(at[inverse].reshape(codes.shape), inexact, int(counts[far].sum()), example)


def bound_of(colors: Sequence[Color]) -> float:
    """Largest distance from a colour at which it is still surely the nearest, at most 32."""
    table = np.unique(np.array(colors, np.int64), axis=0)
    if len(table) < 2:
        return _USUAL
    squares = ((table[:, None] - table[None]) ** 2).sum(axis=-1)
    closest = float(squares[squares > 0].min()) ** 0.5
    return min(_USUAL, max((closest - 1) / 2, 0.0))


def read_table(path: Path) -> dict[str, Color]:
    """Colours by name, from CVAT's ``labelmap.txt``, a CSV or a JSON file.

    Lines of ``labelmap.txt`` are ``name:red,green,blue``, with anything behind a further colon. A CSV file
    has a name and three numbers, or ``#rrggbb``, in each row, with or without a head. JSON is a mapping of
    names to ``[red, green, blue]`` or ``"#rrggbb"``, or a list of mappings with ``name`` and ``color``.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no such table, or a name or colour occurs twice.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        rows = _json_rows(read_json(path), path)
    elif suffix == ".csv":
        rows = _csv_rows(read_csv(path), path)
    else:
        rows = _text_rows(read_text(path), path)
    table: dict[str, Color] = {}
    for name, color in rows:
        name = label_of(name, path)
        if name in table or color in table.values():
            raise FormatError(f"{path}: {name} {color}: a name or colour that occurs twice")
        table[name] = color
    if not 1 <= len(table) <= 256:
        raise FormatError(f"{path}: a table of colours has 1 to 256 rows, not {len(table)}")
    return table


def _text_rows(text: str, path: Path) -> list[tuple[str, Color]]:
    rows = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = re.match(r"(.+?)[:\s,;]\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*(?::.*)?$", line)
        turned = re.match(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)\s+(\S.*)$", line)  # CamVid's label_colors.txt
        if turned:
            rows.append((turned[4], _color(turned.groups()[:3], path)))
        elif found:
            rows.append((found[1], _color(found.groups()[1:4], path)))
        else:
            raise FormatError(f"{path}: a line is name:red,green,blue, not {line[:60]!r}")
    return rows


def _csv_rows(rows: list[list[str]], path: Path) -> list[tuple[str, Color]]:
    head = [cell.lower() for cell in rows[0]] if rows else []
    columns = _columns(head)
    found = []
    for row in rows[1:] if columns else rows:
        if columns:
            cells = [row[at] if at < len(row) else "" for at in columns]
        else:
            named = len(row) in (2, 4)
            cells = row if named else []
        if len(cells) not in (2, 4):
            raise FormatError(f"{path}: a row is a name and a colour, not {','.join(row)[:60]!r}")
        found.append((cells[0], _color(cells[1:] if len(cells) == 4 else cells[1], path)))
    return found


def _columns(head: Sequence[str]) -> list[int] | None:
    """Columns of name and colour by a head; `None` where the first row is none."""
    name = next((head.index(word) for word in _NAMES if word in head), None)
    if name is None:
        return None
    for words in (("r", "g", "b"), ("red", "green", "blue"), ("color",), ("colour",), ("hex",)):
        if set(words) <= set(head):
            return [name, *(head.index(word) for word in words)]
    return None


def _json_rows(document: object, path: Path) -> list[tuple[str, Color]]:
    if isinstance(document, dict) and isinstance(document.get("classes"), list):
        document = document["classes"]
    if isinstance(document, dict):
        return [(name, _color(value, path)) for name, value in document.items()]
    rows = []
    for entry in document if isinstance(document, list) else [document]:
        name = next((entry[w] for w in _NAMES if w in entry), None) if isinstance(entry, dict) else None
        if name is None or not isinstance(entry, dict):
            raise FormatError(
                f"{path}: a table is a mapping of names to colours, or a list with name and color"
            )
        rows.append((name, _color(entry.get("color", entry.get("colour")), path)))
    return rows


def _color(value: object, where: object) -> Color:
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?", value):
        plain = value.lstrip("#")
        return int(plain[:2], 16), int(plain[2:4], 16), int(plain[4:6], 16)
    try:
        red, green, blue = (int(str(part)) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise FormatError(
            f"{where}: a colour is three numbers from 0 to 255 or #rrggbb, not {value!r}"
        ) from None
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise FormatError(f"{where}: a colour is three numbers from 0 to 255, not {value!r}")
    return red, green, blue


def hexadecimal(value: object) -> Color | None:
    """The colour of ``#rrggbb``; `None` for anything else, where a colour is a matter of taste."""
    try:
        return _color(value, "")
    except FormatError:
        return None


def palette_of(table: Mapping[str, Color], names: Sequence[str]) -> list[Color] | None:
    """Colours of the classes, where each has one of its own."""
    colors = [table[name] for name in names if name in table]
    return colors if len(colors) == len(names) == len(set(colors)) else None


def find_table(root: Path) -> Path:
    """The table that lies in a folder of colour masks.

    Raises:
        InputError: There is none.
    """
    for name in ("labelmap.txt", "label_colors.txt", "class_dict.csv", "colors.csv", "colors.json"):
        if (root / name).is_file():
            return root / name
    raise InputError(
        f"{root}: no table of colours (labelmap.txt, class_dict.csv, colors.csv, …); give --colors FILE"
    )
