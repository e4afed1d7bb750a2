"""The images of a job: files, folders, globs, rows of Parquet files, and addresses."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import FormatError, InputError, ZooError
from zoo.images import SUFFIXES, find_images, read_image
from zoo.inference.jobs.items import Item, item_of
from zoo.inference.jobs.parquet import Cells, is_parquet, parquet_items

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MOST_BYTES = 1 << 30  # of an image that comes from an address


def is_address(path: str) -> bool:
    """Whether it is ``SCHEME://…`` and no path of this machine."""
    return _ADDRESS.match(path) is not None


def found_items(
    patterns: Sequence[str], *, column: str | None = None, addresses: bool = False
) -> tuple[list[Item], list[dict[str, str]]]:
    """Images of all patterns, each once, and ``{"path", "error"}`` of every pattern that finds nothing.

    Args:
        patterns: Files, folders and globs; Parquet files; addresses, with a glob or without.
        column: Of Parquet files, see `zoo.inference.jobs.parquet.parquet_items`.
        addresses: Whether addresses are taken.
    """
    paths: list[Path] = []
    others: list[Item] = []
    failed: list[dict[str, str]] = []
    for pattern in patterns:
        try:
            if is_parquet(pattern):
                others += parquet_items(Path(pattern), column=column)
            elif addresses and is_address(pattern):
                others += _at_addresses(pattern)
            else:
                paths += find_images([pattern])
        except ZooError as error:
            failed.append({"path": pattern, "error": str(error)})
    items = [*map(item_of, find_images(paths) if paths else []), *others]
    return list({item.key: item for item in items}.values()), failed


def _at_addresses(pattern: str) -> Iterable[Item]:
    """The items of an address, or of all files that a glob of addresses finds."""
    if not any(character in pattern for character in "*?["):
        return [address_item(pattern)]
    fsspec = _fsspec()
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        found = [system.unstrip_protocol(name) for name in sorted(system.glob(path))]
    except Exception as error:  # each store raises errors of its own
        raise InputError(f"{pattern}: {_line(error)}") from None
    images = [name for name in found if name.lower().endswith(SUFFIXES)]
    if not images:
        raise InputError(f"{pattern}: no images; their names end in {', '.join(SUFFIXES)}")
    return map(address_item, images)


def address_item(address: str) -> Item:
    """The item of an image at an address, which nobody looks at yet."""
    name = re.sub(r"[?#].*$", "", address).rstrip("/").rpartition("/")[2]
    return Item(key=address, path=address, stem=os.path.splitext(name)[0] or "image", stamp=(0, 0))


class Reader:
    """Reads the images of items; for one thread."""

    def __init__(self, *, reading: dict[str, Any]):
        """`reading` are the options of `zoo.images.read_image`."""
        self._reading, self._cells = reading, Cells()
        self._folder: tempfile.TemporaryDirectory | None = None

    def pixels(self, item: Item) -> np.ndarray:
        """``(height, width, 3)`` uint8.

        Raises:
            InputError: No such file.
            FormatError: No image, or a damaged one.
        """
        if item.row is not None:
            return self.decoded(self._cells.bytes_of(item), shown=item.key)
        if is_address(item.path):
            return self.decoded(_fetched(item.path), shown=item.path)
        return read_image(item.path, **self._reading)

    def decoded(self, content: bytes, *, shown: str) -> np.ndarray:
        """The image that bytes are, which errors call `shown`; as `pixels`."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="zoo-")
        path = Path(self._folder.name, "image")
        path.write_bytes(content)
        try:
            return read_image(path, **self._reading)
        except ZooError as error:
            raise type(error)(str(error).replace(str(path), shown)) from None


def _fetched(address: str) -> bytes:
    fsspec = _fsspec()
    try:
        with fsspec.open(address, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except ImportError as error:
        raise InputError(f"{address}: {_line(error)}; pip install 'atrous-zoo[remote]'") from None
    except Exception as error:  # each store raises errors of its own
        raise InputError(f"{address}: {_line(error)}") from None
    if len(content) > _MOST_BYTES:
        raise FormatError(f"{address}: more than {_MOST_BYTES:,} bytes")
    return content


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError:
        raise InputError("addresses are read by fsspec: pip install 'atrous-zoo[remote]'") from None
    return fsspec


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
