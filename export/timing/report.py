"""A measurement of `zoo.export.bench` as text and as a picture."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from zoo.export.core.operation_times import OperationTable
from zoo.export.timing.measurement import Bench, Timing
from zoo.files import write_text, written_whole

_SHOWN = 8
_DPI = 120


def table(result: Bench) -> str:
    """The times of all files, and below them those of their operations."""
    height, width = result.size
    rounds = f"{result.repeats} round{'s' if result.repeats > 1 else ''}"
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    head = f"{height}x{width}, {threads}, {rounds} in turns, warm-up of {result.warm_up}"
    names = max(len(timing.name) for timing in result.timings)
    numbers = f"{'ms':>8}  {'quartiles':>15}  {'CPU ms':>8}  {'ratio':>6}"
    columns = f"{numbers}  {'file MB':>8}  {'peak MB (runtime)':>17}"
    rows = [_row(timing, names) for timing in result.timings]
    lines = [head, f"{'':<{names}}  {columns}", *rows]
    if len(result.timings) > 1:
        lines.append(f"ratio: how many times faster than {result.timings[0].name}, median over the rounds")
    for timing in result.timings:
        if timing.operations is not None:
            lines += ["", f"operations of {timing.name} ({timing.operations.method})"]
            lines += _operation_rows(timing.operations)
    return "\n".join(lines)


def _row(timing: Timing, names: int) -> str:
    low, high = (f"{1e3 * value:.1f}" for value in timing.quartiles)
    cpu = 1e3 * statistics.median(timing.cpu_seconds)
    return (
        f"{timing.name:<{names}}  {1e3 * timing.median:8.1f}  {f'{low}…{high}':>15}  {cpu:8.1f}"
        f"  {timing.ratio:6.2f}  {timing.bytes / 1e6:8.2f}  {_memory(timing):>17}"
    )


def _memory(timing: Timing) -> str:
    if timing.peak_bytes is None or timing.runtime_bytes is None:
        return "–"
    return f"{timing.peak_bytes / 1e6:.0f} ({timing.runtime_bytes / 1e6:.0f})"


def _operation_rows(operations: OperationTable) -> list[str]:
    shown = [(entry.operation, entry.count, entry.seconds) for entry in operations.times[:_SHOWN]]
    rest = operations.times[_SHOWN:]
    if rest:
        shown.append(("others", sum(e.count for e in rest), sum(e.seconds for e in rest)))
    total = sum(entry.seconds for entry in operations.times)
    if shown:
        shown.append(("sum", sum(entry.count for entry in operations.times), total))
    return [
        f"  {name:<24} {count:4}  {1e3 * seconds:9.2f} ms  {seconds / total:6.1%}"
        for name, count, seconds in shown
    ]


def write_json(result: Bench, path: str | os.PathLike) -> Path:
    """Write all numbers as JSON.

    Raises:
        InputError: A file that cannot be written.
    """
    return write_text(path, result.to_json())


def plot(result: Bench, path: str | os.PathLike) -> Path:
    """Draw the medians as bars with their quartiles, and every single run as a dot.

    Args:
        result: What `zoo.export.bench` gave.
        path: PNG file to write.

    Returns:
        The path.

    Raises:
        InputError: A file that cannot be written.
    """
    from matplotlib.figure import Figure

    path, timings = Path(path), result.timings
    figure = Figure(figsize=(9, 1.6 + 0.75 * len(timings)), layout="constrained")
    ax = figure.subplots()
    for row, timing in enumerate(timings):
        _draw(ax, row, timing)
    ax.set_yticks(range(len(timings)), [_label(timing) for timing in timings])
    ax.invert_yaxis()
    edge = 1.5e3 * max(timing.quartiles[1] for timing in timings)
    beyond = sum(1e3 * seconds > edge for timing in timings for seconds in timing.seconds)
    ax.set_xlim(0, edge)
    more = f" ({beyond} beyond the edge)" if beyond else ""
    ax.set_xlabel(f"milliseconds for one image; bar: median, line: quartiles, dots: single runs{more}")
    ax.spines[["top", "right"]].set_visible(False)
    height, width = result.size
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    ax.set_title(f"{height}×{width}, {threads}, {result.repeats} rounds in turns", fontsize=11)
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=_DPI)
    return path


def _draw(ax, row: int, timing: Timing) -> None:
    median, (low, high) = 1e3 * timing.median, (1e3 * value for value in timing.quartiles)
    ax.barh(row, median, height=0.55, color="#4C78A8" if row else "#9AA5B1", zorder=1)
    ax.errorbar(
        median, row, xerr=[[median - low], [high - median]], color="#222222", capsize=5, lw=1.4, zorder=3
    )
    runs = [1e3 * value for value in timing.seconds]
    ax.scatter(runs, [row + 0.34] * len(runs), s=9, color="#222222", alpha=0.35, lw=0, zorder=2)
    text = f"{median:.1f} ms" + (f", {timing.ratio:.2f}×" if row else "")
    ax.text(high, row, f"   {text}", va="center", fontsize=9)


def _label(timing: Timing) -> str:
    memory = "" if timing.peak_bytes is None else f", peak {timing.peak_bytes / 1e6:.0f} MB"
    name = timing.name if len(timing.name) <= 40 else f"…{timing.name[-39:]}"
    return f"{name}\n{timing.bytes / 1e6:.1f} MB{memory}"
