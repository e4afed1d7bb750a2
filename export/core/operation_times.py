"""How long the operations of a file take, as far as its runtime tells."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OperationTime:
    """All operations of one kind.

    Attributes:
        operation: Kind, as the format calls it.
        count: How often it runs for one image.
        seconds: For one image, all of them together; of each the median over some runs.
    """

    operation: str
    count: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OperationTable:
    """Operations by time, and where the times are from.

    Attributes:
        method: How they were taken, or why there are none.
        times: The slowest kind first; empty where the runtime tells nothing.
    """

    method: str
    times: tuple[OperationTime, ...] = ()


def table_of(nodes: Iterable[tuple[str, Sequence[float]]], method: str) -> OperationTable:
    """From the kind of every operation and its seconds in some runs; the median of each counts."""
    sums, counts = defaultdict(float), defaultdict(int)
    for name, seconds in nodes:
        sums[name] += statistics.median(seconds)
        counts[name] += 1
    times = [OperationTime(operation=n, count=counts[n], seconds=sums[n]) for n in sums]
    return OperationTable(method=method, times=tuple(sorted(times, key=lambda entry: -entry.seconds)))
