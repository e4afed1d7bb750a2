"""Pictures of coverage in one dimension: one bar per sample, as high as its paths, and holes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import log2
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dilation.plot import HOLE, check_path, runs, save
from zoo.dilation.sequence import SequenceReport, check_sequence, sequence_coverage

BAR = "#2171B5"
OUTLINED = 96  # samples across, up to which bars stand apart
COUNTED = 64  # paths up to which the axis counts them; beyond, it is logarithmic


def plot_sequence(
    stacks: Iterable[Iterable[int]],
    *,
    kernel: int | Iterable[int] = 2,
    causal: bool = True,
    sample_rate: float | None = None,
    path: str | os.PathLike,
) -> Path:
    """Draws how many paths lead from each sample to one output sample, a row for each stack.

    Args:
        stacks: One or several lists of rates.
        kernel: As for `zoo.dilation.check_sequence`.
        causal: As for `zoo.dilation.check_sequence`.
        sample_rate: Samples per second, to state the receptive field in milliseconds too.
        path: File to write, ``.png``, ``.svg`` or ``.pdf``; it appears complete or not at all.

    Returns:
        The path written.

    Raises:
        InputError: Rates or a kernel that are none, a path as for `zoo.dilation.plot`.
    """
    path = check_path(path)
    rows = []
    for rates in map(tuple, stacks):
        report = check_sequence(rates, kernel=kernel, causal=causal)
        rows.append((report, sequence_coverage(rates, kernel=kernel)))
    return save(_figure(rows, sample_rate), path)


def _figure(rows: list[tuple[SequenceReport, np.ndarray]], sample_rate: float | None) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    holes = any(report.holes for report, _ in rows)
    figure = Figure(figsize=(10, 0.5 + 2.3 * len(rows)), layout="constrained")
    for ax, (report, counts) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows, strict=True):
        _draw(ax, report, counts, sample_rate)
    if holes:
        handles = [Patch(facecolor=HOLE, label="hole: no path reaches the output sample")]
        figure.legend(handles=handles, loc="outside lower center", frameon=False)
    return figure


def _draw(ax: Any, report: SequenceReport, counts: np.ndarray, sample_rate: float | None) -> None:
    first, last = report.offsets
    edges = np.arange(first, last + 2) - 0.5
    heights = np.array([log2(n) if n else np.nan for n in counts.tolist()])
    is_log = report.most > COUNTED
    values = heights + 1 if is_log else np.where(np.isnan(heights), np.nan, counts.astype(float))
    top = np.nanmax(values)
    ax.stairs(np.nan_to_num(values), edges, fill=True, color=BAR)
    floor = -0.15 * top if report.holes else 0
    if report.holes:
        ax.stairs(np.where(np.isnan(heights), floor, 0), edges, fill=True, color=HOLE)
    if len(counts) <= OUTLINED:
        ax.vlines(edges, floor, top, color="white", linewidth=1)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(1.2 * floor, top * 1.08)
    ax.axhline(0, color="#333333", linewidth=0.8)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    if is_log:
        ax.yaxis.set_major_formatter(lambda y, _: f"2$^{{{y - 1:.0f}}}$" if y >= 1 else "")
    ax.set_ylabel("paths")
    ax.set_xlabel("samples from the output sample")
    ax.set_title(_title(report, sample_rate), fontsize=10, loc="left")


def _title(report: SequenceReport, sample_rate: float | None) -> str:
    kernels = sorted(set(report.kernels))
    taps = " and ".join(map(str, kernels))
    length = f"{report.receptive_field:,} samples"
    if sample_rate is not None:
        length += f" ({report.milliseconds(sample_rate):.1f} ms)"
    paths = (
        f"{report.fewest} path"
        if report.fewest == report.most == 1
        else f"{report.fewest} to {report.most:,} paths"
    )
    kind = "causal" if report.causal else "symmetric"
    return (
        f"{kind}, kernel {taps}, rates {runs(report.rates)}: {length}, {report.holes:,} holes, {paths} each"
    )
