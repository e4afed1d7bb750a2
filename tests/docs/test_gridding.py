"""The JavaScript of the page about gridding against `zoo.dilation`, under Node."""

import json
import random
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from support.browser import node_program

from zoo import dilation

PROGRAM = Path(__file__).with_name("gridding.mjs")
COUNT = 400


def stacks():
    """Random stacks of images and of sequences, and those that the documents speak of."""
    chance = random.Random(0)
    known = [
        [1],
        [3],
        [2, 2, 2],
        [1, 2, 3],
        [1, 2, 5],
        [1, 2, 5, 1, 2, 5],
        [5, 9, 17],
        [1, 2, 5, 9, 5, 9, 17],
    ]
    images = [{"rates": rates, "kernel": kernel} for rates in known for kernel in (3, 5)]
    sequences = [
        {"rates": [2**i for i in range(10)], "kernel": [2], "causal": True},
        {"rates": [4] * 5, "kernel": [2], "causal": True},
    ]
    for _ in range(COUNT):
        rates = [chance.randint(1, chance.choice((3, 8, 40))) for _ in range(chance.randint(1, 8))]
        images.append({"rates": rates, "kernel": chance.choice((3, 5, 7, 9, 31))})
        kernels = [chance.randint(1, 8) for _ in rates]
        kernel = kernels if chance.random() < 0.5 else kernels[:1]
        sequences.append({"rates": rates, "kernel": kernel, "causal": chance.random() < 0.7})
    # More paths than 64 bits hold.
    images.append({"rates": list(range(1, 25)), "kernel": 9})
    sequences.append({"rates": list(range(1, 41)), "kernel": [6], "causal": True})
    return {"images": images, "sequences": sequences}


@pytest.fixture(scope="module")
def asked():
    return stacks()


@pytest.fixture(scope="module")
def answered(asked):
    command = [node_program(), PROGRAM]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def plain(report):
    """A report as JSON has it."""
    return json.loads(json.dumps(asdict(report)))


def test_images(asked, answered):
    for stack, answer in zip(asked["images"], answered["images"], strict=True):
        rates, kernel = stack["rates"], stack["kernel"]
        assert answer["report"] == plain(dilation.check(rates, kernel=kernel)), stack
        assert answer["suggestion"] == list(dilation.suggest(rates, kernel=kernel)), stack
        line = dilation.coverage(rates, kernel=kernel, dims=1)
        assert [int(paths) for paths in answer["line"]] == line.tolist(), stack
        assert answer["covers"] is dilation.covers(rates, kernel=kernel), stack


def test_sequences(asked, answered):
    for stack, answer in zip(asked["sequences"], answered["sequences"], strict=True):
        expected = plain(dilation.check_sequence(**stack))
        found = answer["report"]
        assert {**found, "fewest": int(found["fewest"]), "most": int(found["most"])} == expected, stack
        line = dilation.sequence_coverage(stack["rates"], kernel=stack["kernel"])
        assert [int(paths) for paths in answer["line"]] == line.tolist(), stack


def test_the_stacks_differ(asked):
    """Among them are groups that pass and fail, with and without holes, and even kernels."""
    verdicts = set()
    for stack in asked["images"]:
        passes = dilation.check(**stack).passes
        verdicts.add((passes, dilation.covers(stack["rates"], kernel=stack["kernel"])))
    assert len(verdicts) == 4
    assert any(taps % 2 == 0 for stack in asked["sequences"] for taps in stack["kernel"])
