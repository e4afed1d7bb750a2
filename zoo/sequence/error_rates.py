"""Word and phoneme error rates against a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import InputError
from zoo.sequence.phones import without_stress
from zoo.sequence.pronunciations import Pronunciations


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """How often words are said otherwise than in the dictionary.

    Attributes:
        words: That were judged.
        word_error: Share of words that equal none of their pronunciations, in percent.
        phone_error: Edits to the nearest pronunciation, per phone of it, in percent.
    """

    words: int
    word_error: float
    phone_error: float


def error_rates(
    said: Mapping[str, Sequence[str]], dictionary: Pronunciations, *, stress: bool = False
) -> ErrorRates:
    """The error rates of what is said.

    A word is right if it equals any of its pronunciations. Of several, the edits of the nearest count (fewest
    edits for its length).

    Args:
        said: Phones by word.
        dictionary: Pronunciations of these words.
        stress: Whether the digits of stress count; published figures leave them out.

    Raises:
        InputError: No word, or one that the dictionary has not.
    """
    missing = [word for word in said if word not in dictionary]
    if not said or missing:
        raise InputError(f"no words to judge, or none of the dictionary: {', '.join(missing[:5])}")
    wrong = edits = phones = 0
    for word, own in said.items():
        found = _form(own, stress)
        wanted = {_form(variant, stress) for variant in dictionary[word]}
        wrong += found not in wanted
        distances = [(edit_distance(found, one), len(one)) for one in sorted(wanted)]
        nearest = min(distances, key=lambda pair: pair[0] / pair[1])
        edits, phones = edits + nearest[0], phones + nearest[1]
    return ErrorRates(words=len(said), word_error=100 * wrong / len(said), phone_error=100 * edits / phones)


def edit_distance(found: Sequence[str], wanted: Sequence[str]) -> int:
    """Insertions, deletions and replacements from one to the other (Levenshtein 1966)."""
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def _form(phones: Iterable[str], stress: bool) -> tuple[str, ...]:
    return tuple(phones) if stress else without_stress(phones)
