"""Interrupted, then killed: the run ends with the weights of an uninterrupted one, bit for bit."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from zoo.training.records import Table

PROGRAM = Path(__file__).parents[1] / "support" / "training_fixtures.py"
STEPS = 20


def start(folder):
    command = [sys.executable, str(PROGRAM), "resumable", str(folder), str(STEPS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors[-3000:]
    return output


def wait_for(process, path, pause):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(pause)


@pytest.fixture
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert f"finished {STEPS}" in finish(start(folder))
    return folder


def assert_same(folder, expected):
    ours, theirs = np.load(folder / "weights.npz"), np.load(expected / "weights.npz")
    assert set(ours.files) == set(theirs.files)
    for name in ours.files:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for table, column in (("training", "loss"), ("validation", "miou")):
        rows, whole = Table(folder / f"{table}.csv", step=STEPS), Table(expected / f"{table}.csv", step=STEPS)
        assert [r["step"] for r in rows.rows] == [5, 10, 15, 20]
        assert [r[column] for r in rows.rows] == [r[column] for r in whole.rows]


def test_interrupted_and_killed_runs_end_bit_identical(tmp_path, uninterrupted):
    process = start(tmp_path)
    wait_for(process, tmp_path / "checkpoints" / "step-6.index", pause=0.05)
    process.send_signal(signal.SIGINT)
    stopped = int(finish(process).split("interrupted ")[1])
    assert 6 <= stopped < 12
    assert (tmp_path / "checkpoints" / f"step-{stopped}.index").exists()
    (tmp_path / "weights.npz").unlink()

    process = start(tmp_path)
    # Somewhere after the checkpoint of step 12, which is no end of an epoch.
    wait_for(process, tmp_path / "checkpoints" / "step-12.index", pause=0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert not (tmp_path / "weights.npz").exists()

    assert f"finished {STEPS}" in finish(start(tmp_path))
    assert_same(tmp_path, uninterrupted)
