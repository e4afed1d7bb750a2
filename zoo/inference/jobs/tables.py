"""What a job found, as tables: a row for each image that is done, and one for each that is not."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.files import written_whole

SHARES, FAILURES = "shares.csv", "failures.csv"
_HEAD = ("path", "mask", "height", "width")
_GROUP = 10_000  # rows that are in memory at a time


def write_tables(folder: Path, rows: Iterable[dict], *, classes: Sequence[str]) -> list[Path]:
    """Write ``shares.csv``, ``shares.parquet`` where pyarrow is there, and ``failures.csv``.

    Args:
        folder: Of the results.
        rows: Of `zoo.inference.jobs.work`, of which few are in memory at a time.
        classes: Their names; a class has a column ``share:NAME``, 0 where it does not occur.

    Returns:
        What was written. Without a failure there is no table of failures, and one of an earlier run is
        removed.
    """
    header = [*_HEAD, *(f"share:{name}" for name in classes)]
    failures, failed = folder / FAILURES, 0
    with contextlib.ExitStack() as stack:
        done_table, failed_table = (
            csv.writer(stack.enter_context(_csv(stack.enter_context(written_whole(path)))))
            for path in (folder / SHARES, failures)
        )
        done_table.writerow(header)
        failed_table.writerow(("path", "reason"))
        for row in rows:
            if "error" in row:
                failed += 1
                failed_table.writerow((row["path"], row["error"]))
            else:
                done_table.writerow(_values(row, classes))
    if not failed:
        failures.unlink()
    parquet = _write_parquet(folder, header, classes=len(classes))
    return [folder / SHARES, *parquet, *([failures] if failed else [])]


def _csv(path: Path):
    # Names of files need not be text.
    return open(path, "w", newline="", encoding="utf-8", errors="surrogateescape")


def _values(row: dict, classes: Sequence[str]) -> list[object]:
    return [*(row[name] for name in _HEAD), *(row["shares"].get(name, 0.0) for name in classes)]


def _write_parquet(folder: Path, header: Sequence[str], *, classes: int) -> list[Path]:
    """The table of shares once more; nothing where pyarrow is not there."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        return []
    types = [pyarrow.string()] * 2 + [pyarrow.int32()] * 2 + [pyarrow.float64()] * classes
    schema = pyarrow.schema(list(zip(header, types, strict=True)))
    path = folder / "shares.parquet"
    with written_whole(path) as part, parquet.ParquetWriter(part, schema) as writer:
        for columns in _groups(folder / SHARES):
            arrays = [pyarrow.array(column).cast(kind) for column, kind in zip(columns, types, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
    return [path]


def _groups(path: Path) -> Iterator[list[tuple[Any, ...]]]:
    """Columns of so many rows of a CSV file."""
    rows = []
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        table = csv.reader(file)
        next(table)
        for row in table:
            rows.append(row)
            if len(rows) == _GROUP:
                yield list(zip(*rows, strict=True))
                rows = []
    if rows:
        yield list(zip(*rows, strict=True))
