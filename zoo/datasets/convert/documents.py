"""JSON, XML, YAML and CSV from strangers: bounded in size and depth, plain data, checked where it is used."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import yaml

from zoo.errors import FormatError, InputError

MOST_JSON, MOST_XML, MOST_SMALL = 1 << 30, 256 << 20, 4 << 20  # bytes
_DEEPEST = 64
Kind = TypeVar("Kind")


def read_text(path: Path, *, most: int = MOST_SMALL) -> str:
    """The text of a file in UTF-8.

    Raises:
        InputError: A file that cannot be read.
        FormatError: It is larger than `most` bytes, or no text.
    """
    return _decoded(_content(path, most), path)


def read_json(path: Path) -> object:
    """A JSON document; errors are those of `read_text`."""
    try:
        return json.loads(_decoded(_content(path, MOST_JSON), path))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: no JSON document: {_line(error)}") from None


def read_yaml(path: Path) -> object:
    """A YAML document without references to other parts of it; errors are those of `read_text`."""
    text = read_text(path)
    try:
        # References multiply, and no list of classes needs them.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise FormatError(f"{path}: references (*name) are not read")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: no YAML document: {_line(error)}") from None


def read_csv(path: Path) -> list[list[str]]:
    """The rows of a CSV file, with commas or semicolons, cells without the white space around them."""
    text = read_text(path)
    delimiter = ";" if text.count(";") > text.count(",") else ","
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise FormatError(f"{path}: no CSV file: {error}") from None
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def read_xml(path: Path) -> Element:
    """The root of an XML document without a DOCTYPE, so without entities; errors are those of `read_text`."""
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise FormatError(f"{path}: elements more than {_DEEPEST} deep")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def doctype(*_: object) -> None:
        raise FormatError(f"{path}: a DOCTYPE, which is not read")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, doctype
    try:
        parser.Parse(_content(path, MOST_XML), True)
        return builder.close()
    except expat.ExpatError as error:
        raise FormatError(f"{path}: no XML document: {_line(error)}") from None


def child(
    document: object, name: str, kind: type[Kind], where: object, *, default: Kind | None = None
) -> Kind:
    """An entry of a mapping, of the type that it must have.

    Raises:
        FormatError: No mapping, no such entry and no `default`, or another type.
    """
    if not isinstance(document, dict):
        raise FormatError(f"{where}: a mapping was expected, not {type(document).__name__}")
    value = document.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        what = "is missing" if value is None else f"is {type(value).__name__}, not {kind.__name__}"
        raise FormatError(f"{where}: {name!r} {what}")
    return value


def key_of(row: dict, name: str) -> int | str | None:
    """An entry that names something, a number or a text; `None` for anything else."""
    value = row.get(name)
    if isinstance(value, float) and value.is_integer():  # as tables with gaps are written
        value = int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def entries(values: object, where: object) -> Iterator[dict]:
    """The mappings of a list."""
    if not isinstance(values, list):
        raise FormatError(f"{where}: a list was expected, not {type(values).__name__}")
    for value in values:
        if not isinstance(value, dict):
            raise FormatError(f"{where}: a list of mappings was expected, one is {type(value).__name__}")
        yield value


def number(value: object, where: object) -> float:
    """A finite number, also one that is written as text."""
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if isinstance(value, bool) or not math.isfinite(found):
        raise FormatError(f"{where}: a number was expected, not {str(value)[:40]!r}")
    return found


def size_of(height: object, width: object) -> tuple[int, int] | None:
    """Height and width where both are stated; `None` else."""
    pair = (height, width)
    whole = all(isinstance(v, int) and not isinstance(v, bool) and 0 < v < 1 << 31 for v in pair)
    return (int(height), int(width)) if whole else None  # type: ignore[call-overload]


def label_of(value: object, where: object) -> str:
    """The name of a class, white space made single spaces."""
    name = re.sub(r"\s+", " ", value).strip() if isinstance(value, str) else ""
    if not name or len(name) > 200:
        raise FormatError(f"{where}: a label is a name of 1 to 200 characters, not {str(value)[:40]!r}")
    return name


def _content(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: {'is not a regular file' if path.exists() else 'no such file'}")
    try:
        with path.open("rb") as file:
            # Of so many bytes as are there: a buffer for the most that there may be would be a gigabyte.
            content = file.read(min(path.stat().st_size, most) + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    if len(content) > most:
        raise FormatError(f"{path}: more than {most >> 20} MB, which is not read")
    return content


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError(f"{path}: not a text file in UTF-8") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
