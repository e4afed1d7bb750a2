"""Parquet files that hold pictures, opened within bounds, by `pyarrow` (extra ``parquet``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import FormatError, InputError

# What a table may unpack to: pictures are compressed already.
_ALWAYS, _TIMES = 256 << 20, 20


def opened_parquet(path: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile` of which no row group claims to unpack to more than pictures may.

    Raises:
        InputError: `pyarrow` is missing.
        FormatError: A damaged file, or one that claims more.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise InputError("parquet files are read by pyarrow: pip install 'atrous-zoo[parquet]'") from None
    try:
        file = parquet.ParquetFile(
            path, thrift_string_size_limit=64 << 20, thrift_container_size_limit=1_000_000
        )
        groups = [file.metadata.row_group(index).total_byte_size for index in range(file.num_row_groups)]
    except Exception as error:  # pyarrow has no common base for what a damaged file leads to
        raise FormatError(f"{path}: a damaged parquet file: {' '.join(str(error).split())[:200]}") from None
    if max(groups, default=0) > max(_ALWAYS, _TIMES * path.stat().st_size) or min(groups, default=0) < 0:
        raise FormatError(f"{path}: claims to unpack to {max(groups):,} bytes")
    return file
