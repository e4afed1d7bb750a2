"""`zoo.transcribe`: how a word is said, from how it is spelled."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from zoo.errors import InputError
from zoo.sequence.beam_search import Decoder, decoded
from zoo.sequence.phones import SOURCE_SYMBOLS, TARGET_SYMBOLS, letters_of, phones_of

if TYPE_CHECKING:
    import keras

NAME = "bytenet_g2p"
LONGEST = 64
WIDEST = 32
# Words that are decoded at once; more would not be faster.
_TOGETHER = 256


@overload
def transcribe(words: str, *, model: str | keras.Model | Decoder = NAME, beam: int = 1) -> list[str]: ...
@overload
def transcribe(
    words: Sequence[str], *, model: str | keras.Model | Decoder = NAME, beam: int = 1
) -> list[list[str]]: ...
def transcribe(words, *, model=NAME, beam=1):
    """The phones of a word, or of each of several.

    Args:
        words: One word, or several: the letters a to z and apostrophes as CMUdict has them, of either case,
            at most 64 of them. Numbers, abbreviations that are read letter by letter, hyphens and blanks are
            for the caller to write out or to take apart.
        model: ``"bytenet_g2p"``, what `zoo.load` gave for it, or a file of `zoo.export.to_speller`, opened by
            `zoo.export.open_speller`.
        beam: Hypotheses that are kept while decoding, 1 to 32; 1 is greedy.

    Returns:
        ARPAbet phones, vowels with the digit of their stress (0 none, 1 primary, 2 secondary):
        ``["S", "EH2", "G", …]``; a list of such lists for several words.

    Raises:
        InputError: Another model, a beam out of range, or a word with other characters, which it names.
    """
    is_one = isinstance(words, str)
    words = [words] if is_one else list(words)
    if not isinstance(beam, int) or isinstance(beam, bool) or not 1 <= beam <= WIDEST:
        raise InputError(f"beam must be from 1 to {WIDEST}, not {beam!r}")
    sources = [_source(word) for word in words]
    decoder = _decoder(model)
    found: list[list[str]] = [[] for _ in words]
    order = sorted(range(len(words)), key=lambda i: len(sources[i]))
    for start in range(0, len(order), _TOGETHER):
        chosen = order[start : start + _TOGETHER]
        for place, symbols in zip(
            chosen, decoded(decoder, [sources[i] for i in chosen], beam=beam), strict=True
        ):
            found[place] = list(phones_of(symbols))
    return found[0] if is_one else found


def _source(word: object) -> list[int]:
    symbols = letters_of(word)
    if len(symbols) > LONGEST:
        raise InputError(f"{word[:20]!r}… has {len(symbols)} letters; a word has at most {LONGEST}")
    return symbols


def _decoder(model: object) -> Decoder:
    """A decoder of letters and phones; `InputError` of any other model."""
    if isinstance(model, str):
        if model != NAME:
            raise InputError(f"zoo.transcribe takes {NAME}, or a file of it, not {model!r}")
        return _bundled()
    if not hasattr(model, "begin"):
        model = _steps(model)
    found = (model.config.source, model.config.target)
    if found != (SOURCE_SYMBOLS, TARGET_SYMBOLS):
        raise InputError(
            f"a model of letters and phones has {SOURCE_SYMBOLS} and {TARGET_SYMBOLS}, not {found}"
        )
    return model


def _steps(model: object) -> Decoder:
    import keras

    from zoo.sequence.bytenet_steps import ByteNetSteps

    if not isinstance(model, keras.Model):
        raise InputError(f"zoo.transcribe takes {NAME}, or a file of it, not {type(model).__name__}")
    return ByteNetSteps(model)


@functools.cache
def _bundled() -> Decoder:
    from zoo.sequence.loading import load_sequence

    return _steps(load_sequence(NAME, "default"))
