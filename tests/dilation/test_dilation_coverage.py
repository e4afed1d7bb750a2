"""Coverage of stacks against plain enumeration of paths, and what the HDC rule says about it."""

import itertools
from collections import Counter
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.dilation import Layer, check, coverage, covers, holes, reached, receptive_field
from zoo.errors import InputError

FIXED = settings(derandomize=True, deadline=None, max_examples=100, database=None)
RATES = st.lists(st.integers(1, 12), min_size=1, max_size=5)
KERNELS = st.sampled_from([3, 5, 7])
LAYERS = st.builds(Layer, st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))


def enumerate_paths(stack):
    """Counts by walking every path: input position → number of paths, from output position 0."""
    positions = Counter({0: 1})
    for layer in reversed(stack):
        before = Counter()
        for position, count in positions.items():
            for tap in range(layer.kernel):
                before[layer.stride * position + layer.rate * tap] += count
        positions = before
    return positions


@FIXED
@given(st.lists(LAYERS, min_size=1, max_size=5))
def test_counts_equal_enumerated_paths(stack):
    paths = enumerate_paths(stack)
    counts = coverage(stack, dims=1)
    assert len(counts) == receptive_field(stack) == max(paths) + 1
    assert counts.tolist() == [paths[i] for i in range(len(counts))]
    empty = np.flatnonzero(counts == 0)
    assert holes(stack, dims=1).ravel().tolist() == empty.tolist()
    assert reached(stack, dims=1) == (len(counts) - len(empty), len(counts))
    assert covers(stack) == (len(empty) == 0)


@FIXED
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_two_dimensions_equal_enumerated_paths(rates):
    counts = coverage(rates)
    centre = len(counts) // 2
    expected = np.zeros_like(counts)
    taps = list(itertools.product((-1, 0, 1), repeat=2))
    for path in itertools.product(taps, repeat=len(rates)):
        row = sum(rate * tap[0] for rate, tap in zip(rates, path, strict=True))
        column = sum(rate * tap[1] for rate, tap in zip(rates, path, strict=True))
        expected[centre + row, centre + column] += 1
    assert np.array_equal(counts, expected)
    assert np.array_equal(holes(rates), np.argwhere(expected == 0))
    assert reached(rates) == (np.count_nonzero(expected), expected.size)


@FIXED
@given(RATES, KERNELS)
def test_a_group_that_passes_and_starts_at_rate_1_has_no_hole(rates, kernel):
    rates = [1, *rates]
    if check(rates, kernel=kernel).passes:
        assert (coverage(rates, kernel=kernel, dims=1) > 0).all()


@FIXED
@given(st.booleans(), RATES)
def test_rising_groups_of_kernel_3_have_no_hole_exactly_when_they_pass_from_rate_1(one, rates):
    rates = sorted([1, *rates] if one else rates)
    passes = rates[0] == 1 and check(rates).passes
    assert passes == (coverage(rates, dims=1) > 0).all()


@pytest.mark.parametrize("kernel", [3, 5])
def test_relation_of_rule_and_coverage_exhaustively(kernel):
    for n, high in ((1, 12), (2, 12), (3, 10), (4, 7)):
        for rates in itertools.product(range(1, high + 1), repeat=n):
            full = 0 not in enumerate_reached(rates, kernel)
            passes = check(rates, kernel=kernel).passes
            assert covers(rates, kernel=kernel) == full
            if rates[0] == 1 and passes:
                assert full, rates
            if min(rates) > 1:
                assert not full, rates
            if kernel == 3 and list(rates) == sorted(rates):
                assert full == (rates[0] == 1 and passes), rates


def enumerate_reached(rates, kernel):
    """One flag for each position of the receptive field, 0 for a hole, from sets of sums."""
    sums = {0}
    for rate in rates:
        sums = {s + rate * tap for s in sums for tap in range(kernel)}
    return [int(i in sums) for i in range(max(sums) + 1)]


@pytest.mark.parametrize(
    ("rates", "kernel", "passes", "reached_pixels", "field"),
    [
        ([2, 3], 3, True, 9, 11),
        ([3, 3, 7], 3, True, 15, 27),
        ([100, 3], 3, True, 9, 207),
        ([1, 3, 1], 3, False, 11, 11),
        ([1, 1, 3], 3, True, 11, 11),
        ([1, 5, 2], 3, False, 17, 17),
        ([1, 1, 8], 5, False, 41, 41),
        ([5, 9, 17], 3, False, 27, 63),
        ([1, 2, 5, 9, 5, 9, 17], 3, True, 97, 97),
        ([2, 5, 9, 1, 5, 9, 17], 3, False, 97, 97),
        ([2, 2, 2], 3, False, 7, 13),
    ],
)
def test_examples_in_the_documentation(rates, kernel, passes, reached_pixels, field):
    assert check(rates, kernel=kernel).passes is passes
    assert reached(rates, kernel=kernel, dims=1) == (reached_pixels, field)


def test_offsets_named_in_the_documentation():
    assert (holes([2, 3], dims=1).ravel() - 5).tolist() == [-4, 4]
    assert 2 in holes([3, 3, 7], dims=1).ravel() - 13


@FIXED
@given(RATES, st.randoms(use_true_random=False))
def test_order_does_not_matter_to_the_pixels(rates, random):
    shuffled = rates[:]
    random.shuffle(shuffled)
    assert np.array_equal(coverage(rates, dims=1), coverage(shuffled, dims=1))


def test_counts_stay_exact_beyond_64_bits():
    rates = [1, 2, 5] * 12
    counts = coverage(rates)
    assert counts.dtype == object
    assert counts.sum() == 9 ** len(rates) > 2**63
    assert coverage(rates[:18]).dtype == np.int64
    assert coverage(rates[:18]).sum() == 9**18


def test_strides_and_own_kernels():
    stack = [Layer(7, stride=2), Layer(3, stride=2), Layer(3, rate=2)]
    assert receptive_field(stack) == 1 + 6 + 2 * 2 + 2 * 2 * 4
    assert receptive_field([1, Layer(5)], kernel=3) == 7
    assert coverage(stack, dims=1).sum() == prod(layer.kernel for layer in stack)


def test_striding_alone_leaves_holes():
    assert holes([Layer(1, stride=3), Layer(3)], dims=1).ravel().tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize("function", [coverage, holes])
def test_maps_of_absurd_size_are_refused(function):
    with pytest.raises(InputError, match=r"4194304 cells.* × "):
        function([1024, 1024])
    assert reached([1024, 1024]) == (25, 4097**2)


def test_absurd_strides_are_refused():
    with pytest.raises(InputError, match="receptive field must not exceed"):
        receptive_field([Layer(3, stride=1024)] * 5)


@pytest.mark.parametrize("layers", [[], "12", 5, [1.5], [0], [None], [1] * 513])
def test_bad_stacks_are_refused(layers):
    with pytest.raises(InputError) as error:
        coverage(layers)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values", [{"kernel": 0}, {"rate": 0}, {"stride": 0}, {"rate": 2.5}, {"kernel": 5000}]
)
def test_bad_layers_are_refused(values):
    with pytest.raises(InputError, match="must be a whole number from 1"):
        Layer(**values)


@pytest.mark.parametrize("dims", [0, 3, "2", None])
def test_bad_dims_are_refused(dims):
    with pytest.raises(InputError, match="dims must be a whole number from 1 to 2"):
        coverage([1], dims=dims)
