"""The HDC rule against the paper's examples and a literal reading of its equation."""

import itertools
from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.dilation import check, coverage, receptive_field, suggest
from zoo.errors import InputError

GROUPS = st.lists(st.integers(1, 20), min_size=1, max_size=7)
KERNELS = st.sampled_from([3, 5, 7])
FIXED = settings(derandomize=True, deadline=None, max_examples=100, database=None)


@pytest.mark.parametrize(
    ("rates", "kernel", "passes"),
    [
        ([1, 2, 5], 3, True),
        ([1, 2, 9], 3, False),
        ([1, 2, 9], 5, True),
        ([2, 4, 6], 3, False),
        ([2, 4, 6], 5, False),
        ([2, 4, 6], 31, False),
        ([1, 2, 3], 3, True),
        ([2, 2, 2], 3, False),
        ([5, 9, 17], 3, False),
        ([1, 1, 1], 3, True),
        ([1], 3, True),
        ([2], 3, False),
        ([2], 7, False),
        ([1, 3], 3, True),
        ([1, 4], 3, False),
    ],
)
def test_known_verdicts(rates, kernel, passes):
    report = check(rates, kernel=kernel)
    assert report.passes is passes
    assert bool(report.reasons) is not passes


@pytest.mark.parametrize(
    ("rates", "m"),
    [
        ([1, 2, 5], (1, 2, 5)),
        ([1, 2, 9], (3, 5, 9)),
        ([2, 4, 6], (2, 4, 6)),
        ([5, 9, 17], (5, 9, 17)),
        ([1, 5, 2], (6, 8, 2)),
        ([2, 5, 9, 1, 5, 9, 17], (2, 5, 15, 3, 5, 9, 17)),
        ([4], (4,)),
    ],
)
def test_known_m_values(rates, m):
    report = check(rates)
    assert report.m == m
    assert report.m2 == (m[1] if len(m) > 1 else None)


def test_reasons_name_the_numbers():
    report = check([2, 4, 6])
    assert report.common_factor == 2
    assert any("factor 2" in reason for reason in report.reasons)
    assert any("M_2 = 4" in reason and "kernel size 3" in reason for reason in report.reasons)


@FIXED
@given(GROUPS, KERNELS)
def test_check_is_the_equation_of_the_paper(rates, kernel):
    m = {len(rates): rates[-1]}
    for i in range(len(rates) - 1, 0, -1):
        r, after = rates[i - 1], m[i + 1]
        m[i] = max(after - 2 * r, after - 2 * (after - r), r)
    report = check(rates, kernel=kernel)
    assert list(report.m) == [m[i] for i in range(1, len(rates) + 1)]
    assert report.passes == (gcd(*rates) == 1 and (len(rates) == 1 or m[2] <= kernel))


@pytest.mark.parametrize(
    ("rates", "word"),
    [
        ([1, 2, 2], "saw tooth"),
        ([5, 2, 1], "saw tooth"),
        ([2, 3], "passes the rule and still leaves"),
        ([1, 3, 1], "fails the rule and still reaches"),
        ([1, 2, 5, 1, 2, 5], "each group here passes: 1-2-5, 1-2-5"),
    ],
)
def test_advice_does_not_decide(rates, word):
    assert any(word in line for line in check(rates).advice)


@pytest.mark.parametrize("rates", [[1, 2, 5], [1, 2, 5, 1, 2, 5], [1, 1, 1], [1], [1, 2, 5, 9, 1]])
def test_no_advice_on_good_groups(rates):
    assert not any("saw tooth" in line for line in check(rates).advice)


@pytest.mark.parametrize(
    ("rates", "kernel", "expected"),
    [
        ([2, 2, 2], 3, (1, 2, 3)),
        ([1, 2, 5], 3, (1, 2, 5)),
        ([1, 2, 9], 3, (1, 3, 8)),
        ([2, 4, 8], 3, (1, 3, 9)),
        ([1, 2, 9], 5, (1, 2, 9)),
        ([7], 3, (1,)),
        ([100, 3], 3, (1, 3)),
    ],
)
def test_known_suggestions(rates, kernel, expected):
    assert suggest(rates, kernel=kernel) == expected


@FIXED
@given(GROUPS, KERNELS)
def test_suggestions_pass_and_leave_no_hole(rates, kernel):
    found = suggest(rates, kernel=kernel)
    assert len(found) == len(rates)
    assert check(found, kernel=kernel).passes
    assert (coverage(found, kernel=kernel, dims=1) > 0).all()
    assert receptive_field(found, kernel=kernel) <= receptive_field(rates, kernel=kernel)


def test_suggestions_have_the_nearest_receptive_field_there_is():
    good = [
        rates for rates in itertools.product(range(1, 10), repeat=3) if rates[0] == 1 and check(rates).passes
    ]
    for rates in itertools.combinations_with_replacement(range(1, 12), 3):
        wanted = sum(rates)
        nearest = min(abs(sum(other) - wanted) for other in good)
        assert abs(sum(suggest(rates)) - wanted) == nearest, rates


def test_the_largest_group_is_answered_quickly():
    found = suggest([1024] * 512)
    assert check(found).passes
    assert sum(found) == 1024 * 512 - (1024 * 7 - sum(3**i for i in range(7)))


@pytest.mark.parametrize(
    "rates",
    [[], [0], [-1], [1, 2.0], ["2"], "125", 3, None, [True], [None], [1025], [1] * 513, [[1]]],
)
@pytest.mark.parametrize("function", [check, suggest])
def test_bad_rates_raise_one_line(function, rates):
    with pytest.raises(InputError) as error:
        function(rates)
    assert "\n" not in str(error.value)
    assert "got" in str(error.value)


@pytest.mark.parametrize("kernel", [0, -3, 1, 2, 4, 33, 3.0, "3", None, True])
@pytest.mark.parametrize("function", [check, suggest, coverage, receptive_field])
def test_bad_kernels_raise_one_line(function, kernel):
    with pytest.raises(InputError, match=r"kernel size must be .*3.*31.*got") as error:
        function([1, 2, 5], kernel=kernel)
    assert "\n" not in str(error.value)


def test_numpy_integers_are_whole_numbers():
    assert check(np.array([1, 2, 5]), kernel=np.int64(3)).rates == (1, 2, 5)
