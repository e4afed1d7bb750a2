"""What falls back from an accelerator to the processor, why, and which export avoids it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.errors import InputError
from zoo.export.lint.operations import Operation, read
from zoo.export.lint.tables import Table, find, tables

_64_BIT = ("int64", "uint64", "float64", "double")


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Operations of one kind that an accelerator leaves to the processor, for one reason.

    Attributes:
        kind: Of the operations.
        count: How many.
        reason: Why.
        advice: What to export instead; `None` where nothing is known.
        source: Public address of the row.
        names: Of the operations.
    """

    kind: str
    count: int
    reason: str
    advice: str | None
    source: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one accelerator makes of a file.

    Attributes:
        accelerator: Name of the table.
        title: In words.
        version: That the table holds for.
        operations: Number of all.
        fallbacks: What it does not take.
        unverified: What is taken by the table, and not for certain by a public source: a line each.
    """

    accelerator: str
    title: str
    version: str
    operations: int
    fallbacks: tuple[Fallback, ...]
    unverified: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it takes everything."""
        return not self.fallbacks

    def lines(self) -> list[str]:
        """A line for each reason: ``42 CONV_2D, 11 ADD: type int16, …; export with …``."""
        groups: dict[tuple[str, str | None], list[str]] = {}
        for entry in self.fallbacks:
            groups.setdefault((entry.reason, entry.advice), []).append(f"{entry.count} {entry.kind}")
        return [
            f"{', '.join(kinds)}: {reason}" + (f"; {advice}" if advice else "")
            for (reason, advice), kinds in groups.items()
        ]

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {**asdict(self), "whole": self.whole}


def lint(path: str | os.PathLike, *, accelerators: Sequence[str] | None = None) -> tuple[Verdict, ...]:
    """What accelerators make of a ``.tflite`` or ``.onnx`` file or an ``.mlpackage`` folder of anybody.

    Args:
        path: Of the file.
        accelerators: Names of tables; `None` for all that take the file's format.

    Raises:
        InputError: No such file or accelerator, or one that takes files of another format.
        FormatError: A damaged file.
    """
    chosen = None if accelerators is None else [find(name) for name in accelerators]
    format, operations = read(Path(path))
    if chosen is None:
        chosen = [table for table in tables() if table.format == format]
    for table in chosen:
        if table.format != format:
            raise InputError(f"{table.title} takes {table.format} files, and {path} is one of {format}")
    return tuple(_verdict(table, operations) for table in chosen)


def _verdict(table: Table, operations: Sequence[Operation]) -> Verdict:
    found: dict[tuple, list[str]] = {}
    for operation in operations:
        problem = problem_of(table, operation)
        if problem is not None:
            found.setdefault((operation.kind, *problem), []).append(operation.name)
    fallbacks = tuple(
        Fallback(kind=kind, count=len(names), reason=reason, advice=advice, source=source, names=tuple(names))
        for (kind, reason, advice, source), names in found.items()
    )
    return Verdict(
        accelerator=table.name,
        title=table.title,
        version=table.version,
        operations=len(operations),
        fallbacks=fallbacks,
        unverified=tuple(_unverified(table, operations)),
    )


def _unverified(table: Table, operations: Sequence[Operation]) -> Iterator[str]:
    """Lines for what is taken, as far as is known."""
    counts = Counter(op.kind for op in operations if problem_of(table, op) is None)
    for kind, count in counts.items():
        row = table.rows[kind]
        if row.unverified:
            yield f"{count} {kind}: {row.unverified} ({row.source or table.source})"
    if table.unverified and counts:
        yield table.unverified


def problem_of(table: Table, operation: Operation) -> tuple[str, str | None, str] | None:
    """Reason, advice and source where an accelerator does not take an operation; `None` where it does."""
    row = table.rows.get(operation.kind)
    if row is None:
        return "there is no such kernel", table.absent.get(operation.kind), table.source
    given, gives = operation.given, operation.gives
    source, types_source = row.source or table.source, table.types_source or row.source or table.source
    # The advice of a row that only changes scales is for where it does more.
    advice = row.advice if row.given and row.advice and not row.same else table.types_advice
    if row.reason:
        return row.reason, row.advice, source
    for kind, allowed in ((given, row.given or table.types), (gives, row.gives or row.given or table.types)):
        if kind not in allowed:
            width = "64-bit numbers" if kind in _64_BIT else f"type {kind}"
            return f"{width}, and it computes with {', '.join(allowed)}", advice, types_source
    if row.same and given != gives and "float" not in given:
        return f"type {given} becomes {gives}, and it changes a scale only", row.advice, source
    if row.dilation is not None and operation.dilation > row.dilation:
        return f"dilation {operation.dilation}, at most {row.dilation}", row.advice, source
    if operation.align_corners and not row.align_corners:
        return "aligned corners", row.advice, source
    if row.elements is not None and operation.elements > row.elements:
        return f"{operation.elements:,} values, at most {row.elements:,}", row.advice, source
    return None
