"""What `zoo.export.bench` measures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from zoo.export.core.operation_times import OperationTable


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One file.

    Attributes:
        name: As it was given.
        path: Of the file or folder.
        format: Its name in `zoo.export.formats`.
        bytes: Size of the file, or of all files of a folder.
        seconds: Of every run, by the clock, in the order of the rounds.
        cpu_seconds: The same of the process's processor time, over all its threads.
        peak_bytes: Largest resident memory of the process that ran it; `None` where the system does not tell.
        runtime_bytes: The part of it that the runtime took before the file was opened.
        ratio: Median over the rounds of the first file's time divided by this one's in the same round: how
            many times faster this is.
        ratio_quartiles: Quartiles of the same.
        operations: Times of its operations; `None` where they were not asked for.
    """

    name: str
    path: str
    format: str
    bytes: int
    seconds: tuple[float, ...] = field(repr=False)
    cpu_seconds: tuple[float, ...] = field(repr=False)
    peak_bytes: int | None
    runtime_bytes: int | None
    ratio: float
    ratio_quartiles: tuple[float, float]
    operations: OperationTable | None = field(default=None, repr=False)

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between them lies the middle half of the seconds."""
        return quartiles_of(self.seconds)

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {**asdict(self), "median": self.median, "quartiles": self.quartiles}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Files that were timed in turns.

    Attributes:
        size: (height, width) of the image.
        threads: Of each runtime.
        repeats: Number of rounds.
        warm_up: Number of runs of each before the first round.
        timings: In the order they were given; the first is what `Timing.ratio` refers to.
        versions: Of the packages that took part.
        machine: Its processors, and how busy they were with other things before and after.
    """

    size: tuple[int, int]
    threads: int
    repeats: int
    warm_up: int
    timings: tuple[Timing, ...]
    versions: dict[str, str | None]
    machine: dict[str, Any]

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {**asdict(self), "timings": [timing.to_dict() for timing in self.timings]}

    def to_json(self) -> str:
        """The text of a JSON file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def quartiles_of(values: Sequence[float]) -> tuple[float, float]:
    """Between them lies the middle half of the values."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
