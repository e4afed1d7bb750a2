"""What a file of the block form says of itself, as JSON inside it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import FormatError

# Of the entry in the file.
KEY = "atrous_zoo_blocks"
VERSION = 1
MAX_TEXT = 65_536
# Names of the file's ends: what a host hands in and takes out.
SAMPLES, STATE, OUTPUT, NEXT_STATE = "samples", "state", "output", "next_state"


@dataclass(frozen=True, kw_only=True)
class BlockDescription:
    """What a host has to know.

    Attributes:
        model: Name of the model.
        task: What it does, such as ``"amplifier"``.
        block: Samples of a block.
        state: Floats of the state; zeros, then `receptive_field` samples of silence, are how a stream begins.
        receptive_field: Samples that one sample of the result depends on.
        sample_rate: Samples per second.
        source: What the file of its weights says of it.
        version: Of this description.
    """

    model: str
    task: str
    block: int
    state: int
    receptive_field: int
    sample_rate: float
    source: dict[str, str | float] = dataclasses.field(default_factory=dict)
    version: int = VERSION

    def to_json(self) -> str:
        """As JSON, the same text for the same values."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes | str, *, path: Path) -> BlockDescription:
        """The description in a file.

        Raises:
            FormatError: Text that is none, or of a later version.
        """
        what = "blocks of a sequence"
        return cls(**read_description(text, cls, VERSION, is_sound=_is_sound, what=what, path=path))


def read_description(
    text: bytes | str, kind: type, version: int, *, is_sound: Callable[[dict], bool], what: str, path: Path
) -> dict:
    """The fields of a description, a dataclass that is stored as JSON.

    Raises:
        FormatError: Text that is none, or of a later version.
    """
    try:
        found = json.loads(text) if len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        found = None
    names = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(found, dict) or set(found) != names or not is_sound(found):
        raise FormatError(f"{path} does not describe itself as {what}")
    if found["version"] != version:
        raise FormatError(f"{path} is described in version {found['version']}; this release reads {version}")
    return found


def is_count(value: object) -> bool:
    """Whether it is a positive number of 31 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _is_sound(found: dict) -> bool:
    rate = found["sample_rate"]
    texts = [found["model"], found["task"]]
    return (
        all(is_count(found[name]) for name in ("block", "state", "receptive_field", "version"))
        and isinstance(rate, int | float)
        and math.isfinite(rate)
        and all(isinstance(text, str) for text in texts)
        and isinstance(found["source"], dict)
    )
