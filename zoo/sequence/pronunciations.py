"""CMUdict: reading, splitting by word, and the error rates of what is said about its words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import FormatError, InputError
from zoo.files import check_local
from zoo.sequence.phones import LETTERS, PHONES

# The published file has 3.6 MB.
LARGEST = 32 * 1024**2
Pronunciations = Mapping[str, tuple[tuple[str, ...], ...]]
_VARIANT = re.compile(r"\(\d+\)$")
PARTS = ("train", "dev", "held_out")


def read_cmudict(path: str | Path) -> Pronunciations:
    """The pronunciations of each word that is spelled with a…z and apostrophes alone.

    Args:
        path: A file of CMUdict's form: a word, perhaps with ``(2)`` for its second pronunciation, and its
            phones; ``#`` begins a remark. Words with hyphens, dots or digits are left out (0.9 %).

    Raises:
        InputError: No such file.
        FormatError: A file of another form, or one beyond 32 MiB.
    """
    path = check_local(path).expanduser()
    if path.stat().st_size > LARGEST:
        raise FormatError(f"{path.name} has {path.stat().st_size} bytes; a dictionary has at most {LARGEST}")
    found: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word, *phones = line.split("#")[0].split() or ("",)
        if not word or word.startswith(";;;"):
            continue
        word = _VARIANT.sub("", word).lower()
        if not phones or any(phone not in PHONES for phone in phones):
            raise FormatError(f"{path.name}, line {number}: no word and its ARPAbet phones: {line[:60]!r}")
        variants = found.setdefault(word, [])
        if tuple(phones) not in variants:
            variants.append(tuple(phones))
    return {word: tuple(found[word]) for word in found if not set(word) - set(LETTERS)}


def part_of(word: str) -> str:
    """The part of `PARTS` that a word belongs to, by the SHA-256 of its spelling modulo 10.

    0 is held out and 1 for choosing (dev), one tenth each. All pronunciations of a word are in one part.
    """
    digit = int(hashlib.sha256(word.encode()).hexdigest(), 16) % 10
    return {0: "held_out", 1: "dev"}.get(digit, "train")


def in_part(words: Pronunciations, part: str) -> Pronunciations:
    """The words of a part, in alphabetical order."""
    if part not in PARTS:
        raise InputError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    return {word: words[word] for word in sorted(words) if part_of(word) == part}
