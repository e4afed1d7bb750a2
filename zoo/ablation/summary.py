"""What the runs of a comparison say: mean and spread of each variant, and whether the paper's order holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from zoo.ablation.comparisons import Comparison
from zoo.ablation.runner import Run

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "is undecided"

# Student's t at 97.5 % for 1, 2, … degrees of freedom; beyond these the last, which is a little too wide.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)


@dataclass(frozen=True)
class Statistic:
    """Values of one score over the seeds, as shares in 0…1.

    Attributes:
        values: One a seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def spread(self) -> float:
        """Their standard deviation, with n − 1 in the denominator; NaN for a single seed."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True)
class Difference:
    """Two variants that follow one another in the paper's order.

    Attributes:
        better: Name of the better one, by the paper.
        worse: Name of the other.
        mean: Mean IoU of `better` minus that of `worse`, as a share.
        spread: Standard deviation of a single run's mean IoU, pooled over both; NaN for a single seed.
        margin: Half the width of the 95 % confidence interval of `mean` (Student's t with the pooled
            deviation); NaN for a single seed.
        wins: Seeds in which `better` is better.
        seeds: Number of seeds.
    """

    better: str
    worse: str
    mean: float
    spread: float
    margin: float
    wins: int
    seeds: int

    @property
    def outcome(self) -> str:
        """Whether the order holds, does not (it is reversed), or is undecided.

        It is undecided where the interval contains 0, or where there is none.
        """
        if self.mean > self.margin:
            return HOLDS
        return FAILS if self.mean < -self.margin else UNDECIDED


@dataclass(frozen=True)
class Summary:
    """The result of a comparison.

    Attributes:
        comparison: With the variants that were trained.
        runs: All of them.
    """

    comparison: Comparison
    runs: tuple[Run, ...]

    def statistic(self, variant: str, score: str = "mean_iou") -> Statistic | None:
        """A score of a variant over the seeds, by its name in `Scores`; `None` where a run has none.

        The value of a seed is its mean over the folds, where there are any.
        """
        by_seed: dict[int, list[float | None]] = {}
        for run in self.runs:
            if run.variant == variant:
                by_seed.setdefault(run.seed, []).append(getattr(run.scores, score))
        if any(None in values for values in by_seed.values()):
            return None
        return Statistic(tuple(fmean(values) for values in by_seed.values()))

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the parts that were held out, in the order of the runs."""
        return tuple(dict.fromkeys(run.fold for run in self.runs if run.fold is not None))

    def of_fold(self, variant: str, fold: str) -> float:
        """Mean IoU of a variant on a part that was held out, its mean over the seeds."""
        return fmean(r.scores.mean_iou for r in self.runs if (r.variant, r.fold) == (variant, fold))

    @property
    def protocol(self) -> str:
        """What was measured."""
        first, folds = self.runs[0].scores.protocol, self.folds
        if not folds:
            return first
        return f"{first.rpartition(', without ')[0]}, mean over {', '.join(folds)}, each held out once"

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Of each variant to the next one in the paper's order; without one, of each to the first."""
        names = [variant.name for variant in self.comparison.variants]
        pairs = itertools.pairwise(names) if self.comparison.ranked else [(n, names[0]) for n in names[1:]]
        return tuple(
            difference(better, self.statistic(better).values, worse, self.statistic(worse).values)
            for better, worse in pairs
        )

    @property
    def outcome(self) -> str | None:
        """That of the whole order: it holds where each step does; `None` without an order."""
        if not self.comparison.ranked:
            return None
        found = {difference.outcome for difference in self.differences}
        if not found:
            return None
        return FAILS if FAILS in found else UNDECIDED if UNDECIDED in found else HOLDS


def difference(better: str, high: Sequence[float], worse: str, low: Sequence[float]) -> Difference:
    """Compare the scores of two variants over the same seeds, in the same order."""
    count = len(high)
    if count > 1:
        spread = math.sqrt((stdev(high) ** 2 + stdev(low) ** 2) / 2)
        freedom = 2 * (count - 1)
        margin = _T[min(freedom, len(_T)) - 1] * spread * math.sqrt(2 / count)
    else:
        spread = margin = math.nan
    return Difference(
        better=better,
        worse=worse,
        mean=fmean(high) - fmean(low),
        spread=spread,
        margin=margin,
        wins=sum(a > b for a, b in zip(high, low, strict=True)),
        seeds=count,
    )
