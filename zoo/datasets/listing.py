"""The files of a split as a layout on disk lists them, and those that lack a partner."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zoo.datasets.dataset import Dataset
from zoo.errors import InputError
from zoo.files import check_local

_LARGEST_LIST = 1 << 28
# A file without a partner, and a message about it.
Unpaired = tuple[Path, str]


@dataclass(frozen=True)
class Listing:
    """A data set as it is listed, before its files are looked for.

    Attributes:
        dataset: Every pair that should exist.
        unpaired: Files without a partner, each with a message.
    """

    dataset: Dataset
    unpaired: tuple[Unpaired, ...] = field(default=())

    def missing(self) -> list[Unpaired]:
        """Files without a partner and listed files that do not exist, each with a message."""
        absent = [(p, "no such file") for pair in self.dataset.pairs for p in pair if not p.is_file()]
        return [*self.unpaired, *absent]


def has_list(path: Path) -> bool:
    """Whether there is something under the name of a list: what is no text is refused when it is read."""
    return os.path.lexists(path) and not path.is_dir()


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, without the white space around them.

    Raises:
        InputError: No such file, one that is no regular file (a pipe or a device may never end), too large,
            or no text.
    """
    check_local(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            what = "a folder" if path.is_dir() else "not a regular file"
            raise InputError(f"{path}: is {what}; a list is a text file with one entry per line")
        if state.st_size > _LARGEST_LIST:
            raise InputError(
                f"{path}: {state.st_size:,} bytes are no list; at most {_LARGEST_LIST:,} are read"
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


class Layout(Protocol):
    """What a module that reads a layout on disk holds; `zoo.datasets.readers.LAYOUTS` lists them by kind."""

    def matches(self, root: Path, /) -> bool:
        """Whether a folder has this layout."""
        ...

    def splits(self, root: Path, /) -> tuple[str, ...]:
        """Splits that can be opened in a folder."""
        ...

    def list_split(self, root: Path, split: str, /) -> Listing:
        """The pairs of a split, and what lacks a partner; `InputError` for a split that is not there."""
        ...


def check_split(split: str, known: Sequence[str], root: Path, *, made_of: str = "") -> None:
    """`InputError` that lists the splits there are, if `split` is not one of them.

    Args:
        split: Asked for.
        known: What is there.
        root: Folder of the data set.
        made_of: What a split of this kind is made of; needed where `known` can be empty.
    """
    if not known:
        raise InputError(f"{root}: no split of this kind of data set was found here, which is {made_of}")
    if split not in known:
        raise InputError(f"{root}: unknown split {split!r}; there are: {', '.join(known)}")
