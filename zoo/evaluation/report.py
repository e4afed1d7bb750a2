"""An evaluation as a table, as plain data for JSON, and as pictures."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.files import written_whole
from zoo.images.rendering import overlay
from zoo.labels import LabelSet

if TYPE_CHECKING:
    from zoo.evaluation.scoring import Evaluation
    from zoo.metrics.reliability import Reliability

_WRONG = (214, 39, 40)
_DPI = 120


def table(evaluation: Evaluation) -> str:
    """The protocol and the scores in percent, a line for each class; one that occurs nowhere has a dash."""
    names = evaluation.label_set.names
    width = max(map(len, (*names, "mean class accuracy")))
    near = f"within {evaluation.distance} px"
    rows = zip(names, evaluation.iou.values(), evaluation.boundary_iou.values(), strict=True)
    return "\n".join(
        [
            evaluation.protocol,
            f"{'':<{width}}  {'IoU':>6}  {near:>12}",
            *(f"{name:<{width}}  {percent(whole):>6}  {percent(band):>12}" for name, whole, band in rows),
            f"{'mean IoU':<{width}}  {percent(evaluation.mean_iou):>6}"
            f"  {percent(evaluation.mean_boundary_iou):>12}",
            f"{'pixel accuracy':<{width}}  {percent(evaluation.pixel_accuracy):>6}",
            f"{'mean class accuracy':<{width}}  {percent(evaluation.mean_class_accuracy):>6}",
            *_calibration(evaluation, width),
        ]
    )


def _calibration(evaluation: Evaluation, width: int) -> list[str]:
    if evaluation.reliability is None:
        return []
    error = evaluation.reliability.expected_calibration_error
    return [f"{'calibration error':<{width}}  {percent(error):>6}"]


def percent(share: float) -> str:
    """``71.36``, or a dash for NaN."""
    return "–" if math.isnan(share) else f"{100 * share:.2f}"


def to_dict(evaluation: Evaluation) -> dict:
    """Everything but the masks as plain data; shares are in 0…1, and `None` where they are not defined."""
    return {
        "protocol": evaluation.protocol,
        "labels": evaluation.label_set.to_config(),
        "pixels": evaluation.confusion.pixels,
        "mean_iou": _number(evaluation.mean_iou),
        "pixel_accuracy": _number(evaluation.pixel_accuracy),
        "mean_class_accuracy": _number(evaluation.mean_class_accuracy),
        "iou": {name: _number(value) for name, value in evaluation.iou.items()},
        "boundary_distance": evaluation.distance,
        "boundary_mean_iou": _number(evaluation.mean_boundary_iou),
        "boundary_iou": {name: _number(value) for name, value in evaluation.boundary_iou.items()},
        "reliability": _reliability(evaluation.reliability),
        "confusion_matrix": evaluation.confusion.matrix.tolist(),
        "boundary_confusion_matrix": evaluation.boundary.matrix.tolist(),
        "images": [
            {
                "name": image.name,
                "mean_iou": _number(image.mean_iou),
                "pixel_accuracy": _number(image.pixel_accuracy),
            }
            for image in evaluation.images
        ],
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _reliability(found: Reliability | None) -> dict | None:
    if found is None:
        return None
    rows = {"confidence": found.confidence.tolist(), "accuracy": found.accuracy.tolist()}
    return {
        "expected_calibration_error": _number(found.expected_calibration_error),
        "pixels": found.pixels.tolist(),
        **{name: [_number(value) for value in values] for name, values in rows.items()},
    }


# --- pictures -----------------------------------------------------------------------------------


def plot_confusion(evaluation: Evaluation, path: str | os.PathLike) -> Path:
    """Draw the confusion matrix: rows are true classes and sum to 100 %; numbers up to 30 classes.

    Args:
        evaluation: What `zoo.evaluate` gave.
        path: PNG file to write.

    Returns:
        The path.

    Raises:
        InputError: A file that cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    counts, names = evaluation.confusion.matrix, evaluation.label_set.names
    true = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, true, out=np.full(counts.shape, np.nan), where=true > 0)
    side = 3.2 + 0.52 * min(len(names), 30)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    ax = figure.subplots()
    blues = colormaps["Blues"].with_extremes(bad="#EEEEEE")
    image = ax.imshow(np.ma.masked_invalid(shares), cmap=blues, vmin=0, vmax=100)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), [_row_name(evaluation, index) for index in range(len(names))])
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class and its share of the pixels")
    score = f"mean IoU {percent(evaluation.mean_iou)} %"
    ax.set_title(f"{evaluation.protocol}\n{score}, pixel accuracy {percent(evaluation.pixel_accuracy)} %")
    figure.colorbar(image, ax=ax, shrink=0.8, label="share of the true class, %")
    if len(names) <= 30:
        _write_shares(ax, shares)
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=_DPI)
    return Path(path)


def _row_name(evaluation: Evaluation, index: int) -> str:
    share = evaluation.confusion.matrix[index].sum() / max(evaluation.confusion.pixels, 1)
    return f"{evaluation.label_set.names[index]}  {percent(share)} %"


def _write_shares(ax, shares: np.ndarray) -> None:
    """Numbers into the cells, except for those below half a percent."""
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.5:
            color = "white" if share > 55 else "#333333"
            ax.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color=color)


def plot_comparison(
    path: str | os.PathLike,
    *,
    image: np.ndarray,
    true: np.ndarray,
    found: np.ndarray,
    label_set: LabelSet,
    title: str,
) -> Path:
    """Draw an image, its truth, its prediction and where they differ, with a legend of the classes.

    Args:
        path: PNG file to write.
        image: ``(height, width, 3)`` uint8.
        true: ``(height, width)`` class indices or the ignore label.
        found: ``(height, width)`` class indices.
        label_set: Names and colours of the classes.
        title: Above the picture.

    Returns:
        The path.

    Raises:
        InputError: Arrays that do not fit, or a file that cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    counted = true != label_set.ignore_label
    wrong = overlay(image, np.where(counted, true, 0), label_set, opacity=0, legend=False)
    wrong[counted & (true != found)] = _WRONG
    wrong[~counted] //= 3
    panels = {
        "image": image,
        "truth": overlay(image, true, label_set, opacity=0.7, legend=False),
        "prediction": overlay(image, found, label_set, opacity=0.7, legend=False),
        "wrong pixels (ignored ones are dark)": wrong,
    }
    height, width = true.shape
    figure = Figure(figsize=(11, 11 * height / width + 1.4), layout="constrained")
    for ax, (name, panel) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        ax.imshow(panel, interpolation="nearest" if name != "image" else "antialiased")
        ax.set_title(name, fontsize=10)
        ax.set_axis_off()
    present = sorted(set(np.unique(true[counted])) | set(np.unique(found)))
    handles = []
    for index in present[:40]:
        red, green, blue = (channel / 255 for channel in label_set.palette[index])
        handles.append(Patch(color=(red, green, blue), label=label_set.names[index]))
    figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    with written_whole(path) as part:
        figure.savefig(part, format="png", dpi=_DPI)
    return Path(path)
