"""Images in Parquet files, by `pyarrow` (extra ``parquet``): a column of their bytes, or of their paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import FormatError, InputError
from zoo.images.parquet import opened_parquet
from zoo.inference.jobs.items import Item, item_of, stamp_of

_BYTES = ("image", "img", "bytes", "content", "data", "picture", "pixel_values")
_PATHS = ("path", "file", "file_name", "filename", "image", "uri")
_BATCH = 64


def is_parquet(path: str) -> bool:
    """Whether a name is that of a Parquet file."""
    return path.lower().endswith(".parquet")


def parquet_items(path: Path, *, column: str | None = None) -> Iterator[Item]:
    """The images of a file in their order.

    Args:
        path: Of the file.
        column: Of bytes, of structures with ``bytes`` (Hugging Face), or of paths, relative to the file;
            `None`: the only one with a usual name.

    Raises:
        InputError: No such file or column, or several columns with usual names.
        FormatError: A damaged file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    file = opened_parquet(path)
    name, holds_bytes = _column_of(file, path, column)
    if not holds_bytes:
        for batch in _batches(file, path, column=name):
            for value in batch:
                if not isinstance(value, str) or not value:
                    raise FormatError(f"{path}: the column {name!r} has a row without a path")
                yield item_of(path.parent / value)
        return
    stamp = stamp_of(path)
    for row in range(file.metadata.num_rows):
        yield Item(
            key=f"{path.resolve()}#{row}",
            path=f"{path}#{row}",
            stem=f"{path.stem}-{row:06d}",
            stamp=stamp,
            row=row,
            column=name,
        )


class Cells:
    """Bytes of cells, read a part of a row group at a time; quick where rows come in their order."""

    def __init__(self):
        self._path: Path | None = None
        self._file: Any = None
        self._batches: Iterator[list] = iter(())
        self._group, self._start, self._values = -1, 0, []

    def bytes_of(self, item: Item) -> bytes:
        """The bytes in the row of an item.

        Raises:
            FormatError: A damaged file, or a cell without bytes.
        """
        path = Path(item.key.rpartition("#")[0])
        if path != self._path:
            self._path, self._file, self._group = path, opened_parquet(path), -1
        value = self._value(path, int(item.row or 0), str(item.column))
        found = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(found, bytes) or not found:
            raise FormatError(f"{item.path}: no bytes of an image")
        return found

    def _value(self, path: Path, row: int, column: str) -> object:
        group, first = _group_of(self._file, row)
        if group != self._group or row < self._start:
            self._group, self._start, self._values = group, first, []
            self._batches = _batches(self._file, path, column=column, group=group)
        while row >= self._start + len(self._values):
            self._start += len(self._values)
            values = next(self._batches, None)
            if values is None:
                raise FormatError(f"{path}: a damaged parquet file: it ends before row {row}")
            self._values = values
        return self._values[row - self._start]


def _group_of(file: Any, row: int) -> tuple[int, int]:
    """Number and first row of the row group that has a row."""
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if row < first + count:
            return group, first
        first += count
    raise FormatError(f"a parquet file of {first} rows has no row {row}")


def _batches(file: Any, path: Path, *, column: str, group: int | None = None) -> Iterator[list]:
    groups = None if group is None else [group]
    try:
        for batch in file.iter_batches(batch_size=_BATCH, columns=[column], row_groups=groups):
            yield batch.column(0).to_pylist()
    except (OSError, ValueError) as error:  # of which pyarrow's own errors are
        raise FormatError(f"{path}: a damaged parquet file: {' '.join(str(error).split())[:200]}") from None


def _column_of(file: Any, path: Path, wanted: str | None) -> tuple[str, bool]:
    """Name of the column of images, and whether it holds their bytes."""
    import pyarrow

    kinds = {}
    for field in file.schema_arrow:
        kind, types = field.type, pyarrow.types
        inner = [part.name for part in kind] if types.is_struct(kind) else []
        if types.is_binary(kind) or types.is_large_binary(kind) or "bytes" in inner:
            kinds[field.name] = True
        elif types.is_string(kind) or types.is_large_string(kind):
            kinds[field.name] = False
    if wanted is not None:
        if wanted not in kinds:
            raise InputError(f"{path}: no column of bytes or paths is called {wanted!r}: {_listed(kinds)}")
        return wanted, kinds[wanted]
    for usual, holds in ((_BYTES, True), (_PATHS, False)):
        fits = [name for name in usual if kinds.get(name) is holds]
        if len(fits) == 1:
            return fits[0], holds
        if fits:
            raise InputError(f"{path}: several columns may be the images: {', '.join(fits)}; --column NAME")
    raise InputError(f"{path}: no column has a usual name; --column NAME of {_listed(kinds)}")


def _listed(kinds: dict[str, bool]) -> str:
    return ", ".join(kinds) or "none"
