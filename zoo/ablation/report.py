"""The result of a comparison as text, as Markdown, and as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from zoo.ablation.networks import Cost
from zoo.ablation.summary import Difference, Statistic, Summary

_HEADINGS = ("variant", "what it is", "mean IoU", "near borders", "parameters", "multiply-adds", "each seed")
# Columns of numbers stand to the right.
_RIGHT = (False, False, True, True, True, True, False)
_BESIDE = ("mean_iou", "training_iou", "validation_iou")

Costs = Mapping[str, Cost]


def text(summary: Summary, costs: Costs, *, recipe: str) -> str:
    """Title, protocol and recipe, a line for each variant, notes, and the verdict as the last line."""
    comparison = summary.comparison
    rows = [_HEADINGS, *_rows(summary, costs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        [
            f"{comparison.name}: {comparison.title} ({comparison.source})",
            _setting(summary, recipe),
            "",
            *(_line(row, widths).rstrip() for row in rows),
            "",
            *_held_out(summary),
            *notes(summary, costs),
            verdict(summary),
        ]
    )


def markdown(summary: Summary, costs: Costs, *, recipe: str) -> str:
    """The same as a section of a Markdown file."""
    comparison = summary.comparison
    marks = ["--:" if right else "---" for right in _RIGHT]
    rows = [_HEADINGS, marks, *_rows(summary, costs)]
    return "\n".join(
        [
            f"## {comparison.name}: {comparison.title}",
            "",
            f"{comparison.source}. {_setting(summary, recipe)}",
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            *_held_out_table(summary),
            *(f"{note}\n" for note in notes(summary, costs)),
            f"**{verdict(summary)}**\n",
        ]
    )


def to_dict(summary: Summary, costs: Costs, *, recipe: Mapping[str, object]) -> dict:
    """Everything as plain data; scores are shares in 0…1, and `None` where they are not defined."""
    comparison = summary.comparison
    return {
        "comparison": comparison.name,
        "source": comparison.source,
        "model": comparison.model,
        "settings": dict(comparison.settings),
        "protocol": summary.protocol,
        "recipe": dict(recipe),
        "variants": [
            {
                "name": variant.name,
                "settings": dict(variant.settings),
                "recipe": dict(variant.recipe),
                **asdict(costs[variant.name]),
                "mean_iou": _statistic(summary.statistic(variant.name)),
                "boundary_iou": _statistic(summary.statistic(variant.name, "boundary_iou")),
                "runs": [
                    {"seed": run.seed, "fold": run.fold, **asdict(run.scores)}
                    for run in summary.runs
                    if run.variant == variant.name
                ],
            }
            for variant in comparison.variants
        ],
        "differences": [_difference(found) for found in summary.differences],
        "outcome": summary.outcome,
        "verdict": verdict(summary),
    }


# --- the table ------------------------------------------------------------------------------------------


def _setting(summary: Summary, recipe: str) -> str:
    seeds = len({run.seed for run in summary.runs})
    seeded = f"{seeds} seed{'s' if seeds > 1 else ''}, mean ± standard deviation" if seeds > 1 else "1 seed"
    return f"{summary.comparison.model}, {recipe}; {summary.protocol}, scored after the last step; {seeded}."


def _rows(summary: Summary, costs: Costs) -> list[tuple[str, ...]]:
    rows = []
    for variant in summary.comparison.variants:
        score, found = summary.statistic(variant.name), costs[variant.name]
        rows.append(
            (
                variant.name,
                variant.what,
                _points(score),
                _points(summary.statistic(variant.name, "boundary_iou")),
                f"{found.parameters / 1e6:.2f} M",
                f"{found.multiply_adds / 1e6:,.0f} M",
                " ".join(f"{100 * value:.2f}" for value in score.values),
            )
        )
    return rows


def _fold_rows(summary: Summary) -> list[tuple[str, ...]]:
    """A line for each variant: each part that was held out, their mean, on training, on validation."""
    rows = [("variant", *summary.folds, "mean", "on training", "on validation")]
    for variant in summary.comparison.variants:
        parts = [f"{100 * summary.of_fold(variant.name, fold):.2f}" for fold in summary.folds]
        beside = (summary.statistic(variant.name, score) for score in _BESIDE)
        rows.append((variant.name, *parts, *map(_points, beside)))
    return rows


def _held_out(summary: Summary) -> list[str]:
    if not summary.folds:
        return []
    rows = _fold_rows(summary)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(c.rjust(w) if c != row[0] else c.ljust(w) for c, w in zip(row, widths, strict=True))
        for row in rows
    ]
    return [*lines, ""]


def _held_out_table(summary: Summary) -> list[str]:
    if not summary.folds:
        return []
    head, *rows = _fold_rows(summary)
    marks = ["---", *["--:"] * (len(head) - 1)]
    return [*(f"| {' | '.join(row)} |" for row in (head, marks, *rows)), ""]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(row, widths, _RIGHT, strict=True)
    return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in pairs)


def _points(found: Statistic | None) -> str:
    """Percent with the spread, where there are several seeds."""
    if found is None:
        return "–"
    mean = f"{100 * found.mean:.2f}"
    return mean if math.isnan(found.spread) else f"{mean} ± {100 * found.spread:.2f}"


def notes(summary: Summary, costs: Costs) -> list[str]:
    """What a reader must know before believing the numbers: rates that the crops are too small for."""
    found = []
    for variant in summary.comparison.variants:
        of = costs[variant.name]
        if of.beyond:
            rates, (rows, columns) = ", ".join(map(str, of.beyond)), of.map_size
            found.append(
                f"{variant.name}: at rate {rates} some taps see only padding, since the map of a crop "
                f"has {rows}x{columns} positions."
            )
    return found


# --- the verdict ----------------------------------------------------------------------------------------


def verdict(summary: Summary) -> str:
    """One line: whether the paper's order holds here, and by how much."""
    if not summary.differences:
        return "One variant alone: there is nothing to compare."
    if not summary.comparison.ranked:
        return f"{'; '.join(_told(found) for found in summary.differences)}."
    order = " > ".join(variant.name for variant in summary.comparison.variants)
    steps = "; ".join(_told(found) for found in summary.differences)
    return f"The paper's order, {order}, {summary.outcome} here: {steps}."


def _told(found: Difference) -> str:
    gain = f"{found.better} over {found.worse} {100 * found.mean:+.2f} points"
    if math.isnan(found.spread):
        return f"{gain}, of one seed, so the spread is unknown"
    times = f"{abs(found.mean) / found.spread:.1f} times the spread" if found.spread else "no spread"
    low, high = 100 * (found.mean - found.margin), 100 * (found.mean + found.margin)
    return f"{gain} ({times}; 95 % interval {low:+.2f} to {high:+.2f}; {found.wins} of {found.seeds} seeds)"


def _statistic(found: Statistic | None) -> dict | None:
    return None if found is None else {"mean": found.mean, "spread": _number(found.spread)}


def _difference(found: Difference) -> dict:
    document = {**asdict(found), "outcome": found.outcome}
    return {key: _number(value) if isinstance(value, float) else value for key, value in document.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
