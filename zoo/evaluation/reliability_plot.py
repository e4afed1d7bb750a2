"""The reliability diagram: how often a model is right against how sure it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.evaluation.report import percent
from zoo.evaluation.scoring import Evaluation
from zoo.files import written_whole

_DPI = 120
_BLUE = "#2b6cb0"


def plot_reliability(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Draw accuracy against confidence, and below it which share of the pixels has which confidence.

    Args:
        evaluation: What `zoo.evaluate` gave with ``calibration=True``.
        path: PNG file to write.

    Raises:
        InputError: An evaluation without it, or a file that cannot be written.
    """
    from matplotlib.figure import Figure

    found = evaluation.reliability
    if found is None:
        raise InputError("the evaluation says nothing of confidence: evaluate with calibration=True")
    pixels, width = found.pixels, 1 / len(found.pixels)
    middles = (np.arange(len(pixels)) + 0.5) * width
    figure = Figure(figsize=(5.4, 6.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot((0, 1), (0, 1), color="#777777", linewidth=1, linestyle="--", label="as sure as right")
    upper.bar(middles, np.nan_to_num(found.accuracy), width=0.92 * width, color=_BLUE, label="right")
    upper.plot(found.confidence, found.accuracy, "o", color="#1a202c", markersize=4, label="mean confidence")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    upper.legend(loc="upper left", frameon=False)
    error = percent(found.expected_calibration_error)
    upper.set_title(f"{evaluation.protocol}\nexpected calibration error {error} %", fontsize=10)
    lower.bar(middles, pixels / max(1, pixels.sum()), width=0.92 * width, color="#a0aec0")
    lower.set(xlabel="confidence", ylabel="share of pixels")
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=_DPI)
    return Path(path)
