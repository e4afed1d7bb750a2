"""What a file of spelling to sound says of itself, as JSON inside it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import FormatError
from zoo.sequence.phones import LETTERS, PHONES

# Of the entry in the file.
KEY = "atrous_zoo_transcriber"
VERSION = 1
MAX_TEXT = 65_536
# Names of the file's ends: what a host hands in and takes out.
SOURCE, TARGET, LOGITS = "source", "target", "logits"


@dataclass(frozen=True, kw_only=True)
class TranscriberDescription:
    """What a host has to know.

    Attributes:
        model: Name of the model.
        letters: What the symbols 1, 2, … of the source stand for; 0 fills up.
        phones: What the symbols 2, 3, … of the target stand for; 0 is the start and 1 the end.
        slope: a of the bound a·letters + b on the positions that the decoder unfolds to, its end included.
        offset: b of the same.
        version: Of this description.
    """

    model: str
    letters: str = LETTERS
    phones: tuple[str, ...] = PHONES
    slope: float
    offset: int
    version: int = VERSION

    @property
    def source(self) -> int:
        """Symbols of the source."""
        return 1 + len(self.letters)

    @property
    def target(self) -> int:
        """Symbols of the target."""
        return 2 + len(self.phones)

    def longest(self, letters: int) -> int:
        """Positions to which the decoder unfolds over so many letters."""
        return max(1, math.floor(self.slope * letters + self.offset))

    def to_json(self) -> str:
        """As JSON, the same text for the same values."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str | None, *, path: Path) -> TranscriberDescription:
        """The description in a file.

        Raises:
            FormatError: Text that is none, of a later version, or of other letters and phones.
        """
        try:
            found = json.loads(text) if text and len(text) <= MAX_TEXT else None
        except (ValueError, RecursionError):
            found = None
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(found, dict) or set(found) != names or not _is_sound(found):
            raise FormatError(f"{path} does not describe itself as one of spelling to sound")
        if found["version"] != VERSION:
            raise FormatError(
                f"{path} is described in version {found['version']}; this release reads {VERSION}"
            )
        return cls(**{**found, "phones": tuple(found["phones"])})


def _is_sound(found: dict) -> bool:
    slope, offset = found["slope"], found["offset"]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in (slope, offset))
    own = found["letters"] == LETTERS and found["phones"] == list(PHONES)
    return numbers and 0 < slope <= 100 and 0 <= offset <= 1000 and own and isinstance(found["model"], str)
