"""The symbols of spelling and sound: letters in, ARPAbet phones with stress out, as CMUdict has them."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from zoo.errors import InputError
from zoo.sequence.symbols import END, PADDING, START

LETTERS = "'" + string.ascii_lowercase
_VOWELS = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER"),
    *("EY", "IH", "IY", "OW", "OY", "UH", "UW"),
)
_CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
STRESSES = "012"
PHONES = (*_CONSONANTS, *(vowel + stress for vowel in _VOWELS for stress in STRESSES))
# Padding, and start and end of the target.
SOURCE_SYMBOLS, TARGET_SYMBOLS = 1 + len(LETTERS), 2 + len(PHONES)
_OF_LETTER = {letter: PADDING + 1 + i for i, letter in enumerate(LETTERS)}
_OF_PHONE = {phone: max(START, END) + 1 + i for i, phone in enumerate(PHONES)}


def letters_of(word: str) -> list[int]:
    """The symbols of a word's spelling, upper case as lower case; `InputError` of any other character."""
    if not isinstance(word, str) or not word:
        raise InputError(f"a word is a string of letters and apostrophes, not {word!r}")
    folded = word.lower().replace("\u2019", "'")
    unknown = sorted(set(folded) - set(LETTERS))
    if unknown:
        said = ", ".join(repr(c) for c in unknown)
        raise InputError(f"{word!r} has {said}; a word is spelled with the letters a to z and apostrophes")
    return [_OF_LETTER[letter] for letter in folded]


def symbols_of(phones: Iterable[str]) -> list[int]:
    """The symbols of phones, without start and end; `InputError` of an unknown phone."""
    phones = list(phones)
    unknown = [phone for phone in phones if phone not in _OF_PHONE]
    if unknown:
        raise InputError(f"unknown phone {unknown[0]!r}; phones are ARPAbet with stress, such as AH0")
    return [_OF_PHONE[phone] for phone in phones]


def phones_of(symbols: Sequence[int]) -> tuple[str, ...]:
    """The phones of symbols up to the end, if it is among them."""
    symbols = list(symbols)
    symbols = symbols[: symbols.index(END)] if END in symbols else symbols
    return tuple(PHONES[s - max(START, END) - 1] for s in symbols)


def without_stress(phones: Iterable[str]) -> tuple[str, ...]:
    """The phones without the digits of their stress."""
    return tuple(phone.rstrip(STRESSES) for phone in phones)
