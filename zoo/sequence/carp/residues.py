"""The alphabet of CARP: amino acids by their letters, and four signs of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import InputError

# The twenty, the ambiguous B Z X, the rare J O U; then stop, padding, mask and start.
RESIDUES = "ACDEFGHIKLMNPQRSTVWYBZXJOU"
STOP, GAP, MASK, START = "*", "-", "#", "@"
ALPHABET = RESIDUES + STOP + GAP + MASK + START
PADDING = ALPHABET.index(GAP)
# The largest network has a field of 7,141 residues, and the longest known protein 35,000.
LONGEST = 40_000


def tokens_of(sequences: Sequence[str]) -> np.ndarray:
    """Tokens ``(batch, n)`` int32 of protein sequences, padded behind.

    Args:
        sequences: Upper-case letters of amino acids; ``#`` is a masked residue, whose logits say what it may
            be, ``*`` a stop and ``@`` a start. Nothing is added: the networks were trained without either.

    Raises:
        InputError: No sequence, an empty one, one of more than 40,000, or an unknown character, which is
            named with its place.
    """
    if isinstance(sequences, str) or not len(sequences):
        raise InputError(f"sequences must be a list of texts, not {sequences!r:.60}")
    for number, text in enumerate(sequences):
        _check(text, number)
    found = np.full((len(sequences), max(map(len, sequences))), PADDING, np.int32)
    for row, text in enumerate(sequences):
        found[row, : len(text)] = [ALPHABET.index(letter) for letter in text]
    return found


def _check(text: object, number: int) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST:
        size = f"{len(text)} letters" if isinstance(text, str) else type(text).__name__
        raise InputError(f"sequence {number} must be a text of 1 to {LONGEST} letters, not {size}")
    for place, letter in enumerate(text):
        if letter not in ALPHABET or letter == GAP:
            hint = ", lower case" if letter.upper() in RESIDUES else ""
            raise InputError(
                f"sequence {number} has {letter!r}{hint} at {place}; residues are {RESIDUES}, {MASK} masked"
            )
