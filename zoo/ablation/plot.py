"""The result of a comparison as a picture: bars with their spread, and every class."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean

import numpy as np

from zoo.ablation.summary import Summary
from zoo.files import written_whole

_DPI = 120
_BAR, _DOT = "#90b4d8", "#1a365d"
_MARKS = "osD^v<>P"


def plot(summary: Summary, path: str | os.PathLike) -> Path:
    """Draw mean IoU of each variant with its spread and each run, and the IoU of every class.

    Args:
        summary: With one run or more of each variant.
        path: PNG file to write.

    Raises:
        InputError: A file that cannot be written.
    """
    from matplotlib.figure import Figure

    variants, classes = summary.comparison.variants, list(summary.runs[0].scores.iou)
    figure = Figure(figsize=(5.5 + 0.62 * len(classes), 2.2 + 0.5 * len(variants)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(4.2, 0.62 * len(classes) + 1), sharey=True)
    _bars(left, summary)
    _classes(right, summary, classes)
    left.set_yticks(range(len(variants)), [variant.name for variant in variants])
    figure.suptitle(f"{summary.comparison.title}\n{summary.protocol}", fontsize=10)
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=_DPI)
    return Path(path)


def _bars(ax, summary: Summary) -> None:
    """A bar for each mean, a line for its spread over the seeds, a mark for each run."""
    parts = summary.folds or (None,)
    for place, variant in enumerate(summary.comparison.variants):
        score = summary.statistic(variant.name)
        error = None if np.isnan(score.spread) else 100 * score.spread
        ax.barh(place, 100 * score.mean, height=0.62, color=_BAR, xerr=error, capsize=3, zorder=1)
        ax.text(0.6, place, f"{100 * score.mean:.1f}", va="center", fontsize=8, zorder=3)
        for number, part in enumerate(parts):
            runs = [r for r in summary.runs if (r.variant, r.fold) == (variant.name, part)]
            label = part if place == 0 else None
            values = [100 * run.scores.mean_iou for run in runs]
            mark = _MARKS[number % len(_MARKS)]
            ax.plot(values, [place] * len(values), mark, color=_DOT, markersize=4, label=label, zorder=2)
    ax.set_xlabel("mean IoU, %")
    ax.set_xlim(left=0)
    if summary.folds:
        # Above the bars, which reach anywhere.
        ax.legend(
            title="held out", fontsize=8, title_fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1)
        )


def _classes(ax, summary: Summary, classes: list[str]) -> None:
    """The mean IoU of each class over the runs; a class that no run has is left empty."""
    variants = summary.comparison.variants
    table = np.full((len(variants), len(classes)), np.nan)
    for row, variant in enumerate(variants):
        runs = [run for run in summary.runs if run.variant == variant.name]
        for column, name in enumerate(classes):
            values = [run.scores.iou[name] for run in runs if run.scores.iou[name] is not None]
            if values:
                table[row, column] = 100 * fmean(values)
    ax.imshow(np.ma.masked_invalid(table), cmap="Blues", vmin=0, vmax=100, aspect="auto")
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    ax.tick_params(axis="y", length=0)
    for (row, column), value in np.ndenumerate(table):
        if not np.isnan(value):
            color = "white" if value > 60 else "#222222"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
    ax.set_title("IoU of each class, %", fontsize=9)
