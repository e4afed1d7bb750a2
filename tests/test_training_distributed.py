"""One device, two mirrored replicas and two workers give the same losses and the same weights."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("training_fixtures.py")


def start(mode, file, what, **environment):
    hidden = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, str(PROGRAM), mode, str(file), what]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**kept, **environment}, **streams)


def finish(*processes):
    """Wait for all; a failure of one, or a worker that hangs, ends the others."""
    try:
        for process in processes:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_workers(folder, what):
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        yield start("auto", folder / f"worker{index}.npz", what, TF_CONFIG=json.dumps(config))


@pytest.mark.parametrize("what", ["tiny", pytest.param("real", marks=pytest.mark.slow)])
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
