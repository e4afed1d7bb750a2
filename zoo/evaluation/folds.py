"""Scores of folds: what was held out beside what was trained on, and their means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from zoo.evaluation.report import percent, to_dict
from zoo.evaluation.scoring import Evaluation


@dataclass(frozen=True, eq=False)
class FoldScores:
    """A model's scores on one part of a data set.

    Attributes:
        name: Of the part.
        held_out: On the part.
        training: On all other parts, where the model was trained on these, else `None`.
    """

    name: str
    held_out: Evaluation
    training: Evaluation | None = None


def mean_over(scores: Sequence[FoldScores]) -> float:
    """Mean of the folds' mean IoU, each fold counting the same; in 0…1."""
    return fmean(score.held_out.mean_iou for score in scores)


def table(scores: Sequence[FoldScores]) -> str:
    """A column for each fold and one for their mean, a line for each class; in percent.

    A class that a fold does not have is left out of its mean, as everywhere.
    """
    first = scores[0].held_out
    heads = [score.name for score in scores] + ["mean"]
    rows = [(name, _with_mean([s.held_out.iou[name] for s in scores])) for name in first.label_set.names]
    rows.append(("mean IoU", _with_mean([s.held_out.mean_iou for s in scores])))
    training = [score.training for score in scores if score.training is not None]
    if len(training) == len(scores):
        rows.append(("on training", _with_mean([found.mean_iou for found in training])))
    rows.append(("pixel accuracy", _with_mean([s.held_out.pixel_accuracy for s in scores])))
    width = max(len(name) for name, _ in rows)
    columns = [max(7, len(head)) for head in heads]
    lines = [first.protocol + ", each part by itself"]
    lines.append(" " * width + "".join(f"  {h:>{n}}" for h, n in zip(heads, columns, strict=True)))
    lines.append(
        f"{'images':<{width}}"
        + "".join(f"  {len(s.held_out.images):>{n}}" for s, n in zip(scores, columns, strict=False))
    )
    for name, values in rows:
        shown = (f"  {percent(value):>{n}}" for value, n in zip(values, columns, strict=True))
        lines.append(f"{name:<{width}}" + "".join(shown))
    return "\n".join(lines)


def document(scores: Sequence[FoldScores]) -> dict:
    """Everything as plain data; shares in 0…1."""
    return {
        "mean_iou": _number(mean_over(scores)),
        "folds": [
            {
                "name": score.name,
                "held_out": to_dict(score.held_out),
                "training": None if score.training is None else to_dict(score.training),
            }
            for score in scores
        ],
    }


def _with_mean(values: Sequence[float]) -> list[float]:
    known = [value for value in values if not math.isnan(value)]
    return [*values, fmean(known) if known else math.nan]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
