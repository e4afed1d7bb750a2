"""A partial file that another process may write to as well, where locks do not work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


class DisturbedError(Exception):
    """Another process took the partial file away or began it anew: locks do not work on this file system."""


def begun(part: Path, start: int) -> BinaryIO:
    """`part`, opened to go on with, or a new file of that name: never one of which something is cut off.

    Args:
        part: The file.
        start: Bytes of it that are kept; 0 for a new one.

    Raises:
        DisturbedError: Another process was there in the same moment.
    """
    try:
        if start:
            return open(part, "r+b")
        part.unlink(missing_ok=True)
        return open(part, "xb")
    except (FileNotFoundError, FileExistsError) as error:
        if not part.parent.is_dir():
            raise
        raise DisturbedError from error


def is_named(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
