"""What the scores of a comparison say."""

import math

import numpy as np
import pytest

from zoo.ablation.comparisons import HDC
from zoo.ablation.networks import Cost
from zoo.ablation.report import notes, verdict
from zoo.ablation.runner import Run, Scores
from zoo.ablation.summary import _T, Statistic, Summary, difference


def test_student_table():
    """95 % of the density of t lies within the tabulated bounds."""
    for freedom, bound in enumerate(_T, start=1):
        t = np.linspace(-bound, bound, 20_001)
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        density = scale / math.sqrt(freedom * math.pi) * (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
        assert np.trapezoid(density, t) == pytest.approx(0.95, abs=1e-4)


def test_differences_by_hand():
    clear = difference("a", (0.5, 0.6, 0.7), "b", (0.1, 0.2, 0.3))
    assert (clear.mean, clear.spread) == (pytest.approx(0.4), pytest.approx(0.1))
    assert clear.margin == pytest.approx(2.776 * 0.1 * math.sqrt(2 / 3))
    assert (clear.outcome, clear.wins, clear.seeds) == ("holds", 3, 3)
    assert difference("b", (0.1, 0.2, 0.3), "a", (0.5, 0.6, 0.7)).outcome == "does not hold"
    assert difference("a", (0.5, 0.6, 0.7), "b", (0.3, 0.4, 0.9)).outcome == "is undecided"
    alone = difference("a", (0.5,), "b", (0.1,))
    assert alone.outcome == "is undecided" and math.isnan(alone.margin)
    assert Statistic((0.1, 0.3)).spread == pytest.approx(math.sqrt(0.02))


def summary(*scores, comparison=HDC):
    """One tuple of mean IoUs a variant, a value for each seed."""
    runs = [
        Run(variant.name, seed, Scores(value, None, value, {}, "labels val 10x10"), 1.0, False)
        for variant, values in zip(comparison.variants, scores, strict=True)
        for seed, value in enumerate(values)
    ]
    return Summary(comparison, tuple(runs))


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([(0.8, 0.82), (0.6, 0.62), (0.2, 0.22)], "hybrid > hybrid-narrow > uniform, holds here"),
        ([(0.8, 0.82), (0.2, 0.22), (0.6, 0.62)], "uniform, does not hold here"),
        ([(0.8, 0.82), (0.6, 0.62), (0.59, 0.62)], "uniform, is undecided here"),
        ([(0.8,), (0.6,), (0.2,)], "is undecided here: hybrid over hybrid-narrow +20.00 points, of one seed"),
    ],
)
def test_the_verdict_follows_the_weakest_step(scores, words):
    assert words in verdict(summary(*scores))


def test_the_verdict_tells_how_much():
    """The spread is √0.0002 = 1.41 points, the interval 4.303 of it to either side."""
    told = verdict(summary((0.8, 0.82), (0.6, 0.62), (0.2, 0.22)))
    assert told.endswith(
        "hybrid over hybrid-narrow +20.00 points (14.1 times the spread; 95 % interval +13.91 to +26.09; "
        "2 of 2 seeds); hybrid-narrow over uniform +40.00 points (28.3 times the spread; 95 % interval "
        "+33.91 to +46.09; 2 of 2 seeds)."
    )
    assert verdict(summary((0.5,), comparison=HDC.only(("hybrid",)))) == (
        "One variant alone: there is nothing to compare."
    )


def test_a_note_names_rates_beyond_the_map():
    found = {variant.name: Cost(1, 1, None, ()) for variant in HDC.variants}
    found["hybrid"] = Cost(1, 1, (12, 16), (12, 17))
    assert notes(summary((0.1,), (0.1,), (0.1,)), found) == [
        "hybrid: at rate 12, 17 some taps see only padding, since the map of a crop has 12x16 positions."
    ]
