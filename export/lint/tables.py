"""What accelerators take, as data files: one table each, with its version and public sources."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from zoo.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is taken of one operation; what is not stated is the table's.

    Attributes:
        given: Types of what it is given.
        gives: Types of what it gives.
        same: Whether integers stay of one type, as where a scale alone changes.
        dilation: Largest one.
        align_corners: Whether aligned corners are taken.
        elements: Most of them in its output.
        reason: Why it is not, in words, where more than the above is the matter.
        advice: How to export without it.
        source: Of the row, where that is not the table's.
        unverified: What no public source states for certain of a row that is taken.
    """

    given: tuple[str, ...] | None = None
    gives: tuple[str, ...] | None = None
    same: bool = False
    dilation: int | None = None
    align_corners: bool = True
    elements: int | None = None
    reason: str | None = None
    advice: str | None = None
    source: str | None = None
    unverified: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """One accelerator.

    Attributes:
        name: As in ``--for``.
        title: In words.
        format: Of the files that it takes.
        version: That the rows hold for.
        source: Public address of what they are from.
        types: That it computes with.
        types_advice: How to export in one of these.
        types_source: Public address of the types, where that is another one.
        unverified: What no public source states for certain of all rows.
        rows: By the kind of the operation.
        absent: Advice for kinds that it does not have.
    """

    name: str
    title: str
    format: str
    version: str
    source: str
    types: tuple[str, ...]
    types_advice: str
    rows: Mapping[str, Row]
    types_source: str | None = None
    unverified: str | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def tables() -> tuple[Table, ...]:
    """All of them, in the order of their names."""
    folder = resources.files("zoo.export.lint") / "tables"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return tuple(_table(json.loads(file.read_text(encoding="utf-8"))) for file in files)


def find(name: str) -> Table:
    """The table of that name.

    Raises:
        InputError: There is none.
    """
    for table in tables():
        if table.name == name:
            return table
    raise InputError(f"accelerator must be one of {', '.join(t.name for t in tables())}, not {name!r}")


def _table(content: dict) -> Table:
    rows = {kind: Row() for kind in content.pop("operations", ())}
    for kind, stated in content.pop("rows", {}).items():
        rows[kind] = Row(**{k: tuple(v) if isinstance(v, list) else v for k, v in stated.items()})
    return Table(**{**content, "types": tuple(content["types"])}, rows=rows)
