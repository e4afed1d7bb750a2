"""Stacks of 1-D convolutions: what they reach, held against paths that are walked one by one."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import cli
from zoo.dilation import check_sequence, plot_sequence, sequence_coverage
from zoo.errors import InputError

DOUBLING = [2**i for i in range(10)]


def walked(rates, kernels, *, causal):
    """Paths to each offset, every one of them followed."""
    first = [(k - 1) * r if causal else (k - 1) * r // 2 for k, r in zip(kernels, rates, strict=True)]
    steps = [[r * t - f for t in range(k)] for r, k, f in zip(rates, kernels, first, strict=True)]
    return Counter(map(sum, itertools.product(*steps)))


@pytest.mark.parametrize(
    ("rates", "kernel", "field", "holes", "fewest", "most"),
    [
        (DOUBLING, 2, 1024, 0, 1, 1),
        (DOUBLING * 2, 2, 2047, 0, 1, 1024),
        (DOUBLING, 3, 2047, 0, 1, 89),
        ([1, 3, 7, 17, 41, 101, 239], 6, 2046, 0, 1, 200),
        ([2**i for i in range(7)], 6, 636, 0, 1, 729),
        ([4] * 5, 3, 41, 30, 0, 51),
        ([2**i for i in range(8)] * 2, 5, 2041, 0, 1, 205_455_673),
    ],
)
def test_published_stacks(rates, kernel, field, holes, fewest, most):
    found = check_sequence(rates, kernel=kernel)
    assert (found.receptive_field, found.holes, found.fewest, found.most) == (field, holes, fewest, most)
    assert found.passes == (holes == 0)
    assert found.offsets == (1 - field, 0)
    assert bool(found.reasons) == bool(holes)


stacks = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=5)


@settings(max_examples=80, deadline=None)
@given(stacks, st.booleans())
def test_the_counts_and_the_rule_are_exact(stack, causal):
    rates = [rate for rate, _ in stack]
    kernels = [taps for _, taps in stack]
    paths = walked(rates, kernels, causal=causal)
    found = check_sequence(rates, kernel=kernels, causal=causal)
    offsets = range(min(paths), max(paths) + 1)
    assert found.offsets == (offsets[0], offsets[-1])
    counts = sequence_coverage(rates, kernel=kernels)
    np.testing.assert_array_equal(counts, [paths[offset] for offset in offsets])
    assert found.holes == sum(offset not in paths for offset in offsets)
    assert found.passes == (found.holes == 0)


def test_milliseconds():
    assert check_sequence(DOUBLING, kernel=2).milliseconds(16_000) == 64
    with pytest.raises(InputError, match="above 0, in hertz; got nan"):
        check_sequence([1]).milliseconds(float("nan"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"rates": [1, 2], "kernel": [2, 2, 2]}, "got 3 for 2 rates"),
        ({"rates": [1], "kernel": 32}, "from 1 to 31; got 32"),
        ({"rates": [1], "kernel": "2"}, "got '2'"),
        ({"rates": [0]}, "from 1 to 1024; got 0"),
    ],
)
def test_bad_stacks_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        check_sequence(words.pop("rates"), **words)


def run(words):
    return cli.main(["dilation", *words.split()])


def test_command_line(capsys):
    assert run("check --causal --kernel 2 --sample-rate 8000 1 2 4 8") == 0
    out = capsys.readouterr().out
    assert "1-2-4-8, causal, with kernel 2: pass" in out
    assert "16 samples, 2.00 ms at 8000 Hz, from -15 to 0" in out
    assert "1 to 1 from each sample" in out
    assert run("check --centered 4 4 --json -") == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["holes"], facts["receptive_field"], facts["offsets"]) == (12, 17, [-8, 8])
    assert run("check --causal --kernel 2,3 1 2") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("check --sample-rate 8000 1 2", "--sample-rate belongs to --causal or --centered"),
        ("check --causal --kernel x 1", "kernel size must be a whole number; got 'x'"),
        ("check --centered --kernel 2,3 1 2 3", "got 2 for 3 rates"),
        ("check --causal --sample-rate -1 1", "above 0, in hertz; got -1.0"),
        ("plot --causal --model duc_hdc --output a.png", "a model has its own layers"),
        ("plot --causal --output a.png", "either rates or --model"),
    ],
)
def test_command_line_refusals(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_pictures(tmp_path, capsys):
    """Holes have a strip of their own, and are named; a stack without any has neither."""
    whole = plot_sequence([[1, 2, 4]], kernel=2, path=tmp_path / "whole.svg").read_text("utf-8")
    holes = plot_sequence([[1, 2, 4], [4, 4]], kernel=2, path=tmp_path / "holes.svg").read_text("utf-8")
    assert "#e69f00" not in whole
    assert "#e69f00" in holes
    path = tmp_path / "a.png"
    assert run(f"plot --causal --kernel 2 4 4 4 --output {path}") == 0
    assert "receptive field 13 samples, 9 holes" in capsys.readouterr().out
    assert path.read_bytes().startswith(b"\x89PNG")
