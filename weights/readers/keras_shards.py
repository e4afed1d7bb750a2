"""Weights that Keras 3 wrote in several files: a ``.weights.json`` that says which variable is in which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import FormatError
from zoo.weights.readers.hdf5 import check_h5

SUFFIX = ".weights.json"
_SHARD = re.compile(r"(.+)_\d{5}\.weights\.h5", re.IGNORECASE)
_LONGEST = 16 << 20
_MAX_SHARDS = 10_000


def whole_of(path: Path) -> Path:
    """The ``.weights.json`` that a file is a part of, if it lies beside it; else the file itself."""
    part = _SHARD.fullmatch(path.name)
    whole = path.with_name(f"{part[1]}{SUFFIX}") if part else path
    return whole if whole.is_file() else path


def is_sharded(path: Path) -> bool:
    """Whether a file is the table of several."""
    return path.name.lower().endswith(SUFFIX)


def groups_of(path: Path) -> Iterator[tuple[Path, str]]:
    """File and name of each group of variables; a layer may have some in one file and some in the next.

    Every file is checked before the first one is given.

    Raises:
        FormatError: A table that is damaged or names what is not beside it, or a file that is.
    """
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError("it has more than 16 MiB")
        table = json.loads(path.read_bytes())["weight_map"]
        places = [(str(group), n) for group, found in table.items() for n in _names(found)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path.name}: not a readable {SUFFIX} file: {reason}") from error
    names = dict.fromkeys(name for _, name in places)
    if len(names) > _MAX_SHARDS:
        raise FormatError(f"{path.name}: refused: its variables lie in {len(names):,} files")
    for name in names:
        if not _SHARD.fullmatch(name) or re.search(r"[/\\:\0]", name):
            raise FormatError(f"{path.name}: refused: it names {name[:80]!r}, which is none of its parts")
        if not path.with_name(name).is_file():
            raise FormatError(f"{path.name}: its variables are in {name[:80]}, which is not beside it")
        check_h5(path.with_name(name))
    for group, name in places:
        yield path.with_name(name), group


def _names(found: object) -> list[str]:
    names = found if isinstance(found, list) else [found]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("names of files are text")
    return names
