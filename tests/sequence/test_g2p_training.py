"""The example that trains spelling to sound: batches, a run that goes on where it was, and its file."""

import argparse
import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from zoo.sequence.bytenet_files import read_bytenet
from zoo.sequence.g2p import G2P
from zoo.sequence.pronunciations import part_of

WORDS = ["cat K AE1 T", "bat B AE1 T", "tab T AE1 B", "act AE1 K T", "dad D AE1 D", "fad F AE1 D", "a AH0"]


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[2] / "examples" / "bytenet_g2p.py"
    spec = importlib.util.spec_from_file_location("bytenet_g2p_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_batches_are_padded_and_of_like_lengths(example):
    words = {"cat": (("K", "AE1", "T"), ("K", "AE0", "T")), "a": (("AH0",),), "w": (("W",) * 9,)}
    pairs = example.examples_of(words, G2P)
    assert len(pairs) == 3  # of the last word the decoder would not reach the end
    source, before, at = example.padded(pairs)
    np.testing.assert_array_equal(source[2], [2, 0, 0])
    np.testing.assert_array_equal(before[2, :2], [0, pairs[2][1][0]])
    np.testing.assert_array_equal(at[2], [pairs[2][1][0], 1, -1, -1])
    shapes = [s.shape for s, _, _ in example.batches(pairs, 2, np.random.default_rng(0))]
    assert sorted(shapes) == [(1, 3), (2, 3)]
    many = example.batches(pairs * 50, 10, np.random.default_rng(0))
    assert sum(s.shape[1] == 1 for s, _, _ in many) == 5


def test_a_run_goes_on_and_learns(example, tmp_path, monkeypatch, capsys):
    blocks = dataclasses.replace(G2P.blocks, width=16, hidden=8)
    small = dataclasses.replace(G2P, blocks=blocks, encoder_rates=(1, 2), decoder_rates=(1, 2))
    monkeypatch.setattr(example, "G2P", small)
    monkeypatch.setattr(example.tf.config.threading, "set_intra_op_parallelism_threads", lambda _: None)
    assert {part_of(line.split()[0]) for line in WORDS} >= {"train", "dev"}
    (tmp_path / "c.dict").write_text("\n".join(WORDS) + "\n")
    usual = {"decay": 1, "batch_size": 4, "learning_rate": 0.01, "smoothing": 0.1, "weight_decay": 0.01}
    usual |= {"dictionary": tmp_path / "c.dict", "out": tmp_path / "run", "dropout": 0.0, "threads": 1}
    example.run(argparse.Namespace(epochs=1, **usual))
    example.run(argparse.Namespace(epochs=3, **usual))
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in told] == ["1", "2", "3"]
    losses = [float(line.split()[3]) for line in told]
    assert losses[2] < losses[0]
    assert read_bytenet(tmp_path / "run" / "bytenet_g2p_cmudict.npz").count_params() < 20_000
