"""One device, two mirrored replicas and two workers give the same losses and the same weights."""

import json

import numpy as np
import pytest
from support.workers import finish, free_ports, start


def start_workers(folder, what):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        yield start("auto", folder / f"worker{index}.npz", what, TF_CONFIG=json.dumps(config))


@pytest.mark.parametrize("what", ["tiny", "own", pytest.param("real", marks=pytest.mark.slow)])
def test_all_strategies_agree(tmp_path, what):
    finish(start("one", tmp_path / "one.npz", what))
    finish(start("mirrored", tmp_path / "mirrored.npz", what))
    finish(*start_workers(tmp_path, what))
    one = np.load(tmp_path / "one.npz")
    assert len(one["losses"]) == 3
    for name in ("mirrored", "worker0", "worker1"):
        other = np.load(tmp_path / f"{name}.npz")
        assert set(other.files) == set(one.files)
        for key in one.files:
            np.testing.assert_allclose(other[key], one[key], atol=1e-5, rtol=1e-5, err_msg=f"{name} {key}")
