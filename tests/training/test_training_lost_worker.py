"""A worker dies, the other says so, and both, started again, go on from the last checkpoint."""

import json
import sys
import threading
import time

import numpy as np
from support.workers import PROGRAM, finish, free_ports, start

from zoo.training.launching import launch
from zoo.training.records import Table

STEPS = 12


def start_cluster(folder):
    """Two workers on this machine, under new addresses each time, as a cluster manager may give them."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    for index in range(2):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        yield start("cluster", folder, str(STEPS), TF_CONFIG=json.dumps(config))


def wait_for(path, processes):
    deadline = time.monotonic() + 240
    while not path.exists():
        for process in processes:
            assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_chief_and_its_worker_go_on_from_the_checkpoint(tmp_path):
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    chief, worker = start_cluster(folder)
    try:
        wait_for(folder / "checkpoints" / "step-6.index", (chief, worker))
        chief.kill()
        # The worker notices after a while; the run without an interruption needs the processor meanwhile.
        finish(start("cluster", whole, str(STEPS)))
        _, errors = worker.communicate(timeout=240)
    finally:
        for process in (chief, worker):
            process.kill()
            process.wait()
    assert worker.returncode == 1
    assert "WorkerLostError: another worker has ended after step" in errors
    assert "start all workers again to go on from the last checkpoint in" in errors
    assert not list(folder.glob("*.npz"))

    finish(*start_cluster(folder))
    expected = np.load(whole / "weights0.npz")
    for index in range(2):
        found = np.load(folder / f"weights{index}.npz")
        assert set(found.files) == set(expected.files)
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, rtol=1e-5, err_msg=name)
    for name, column in (("training", "loss"), ("validation", "miou")):
        ours, theirs = (Table(path / f"{name}.csv", step=STEPS).rows for path in (folder, whole))
        assert [row["step"] for row in ours] == [5, 10, 12]
        np.testing.assert_allclose([r[column] for r in ours], [r[column] for r in theirs], atol=1e-5)


def test_a_launcher_starts_the_killed_workers_again(tmp_path):
    folder, whole, killed = tmp_path / "killed", tmp_path / "whole", []

    def kill_after_a_checkpoint(processes):
        def wait():
            wait_for(folder / "checkpoints" / "step-6.index", ())
            processes[1].kill()

        if not killed:
            killed.append(threading.Thread(target=wait, daemon=True))
            killed[0].start()

    command = [sys.executable, str(PROGRAM), "cluster", str(folder), str(STEPS)]
    done = launch(command, workers=2, started=kill_after_a_checkpoint, note=lambda line: None)
    assert (done.status, done.restarts) == (0, 1)
    finish(start("cluster", whole, str(STEPS)))
    expected = np.load(whole / "weights0.npz")
    for index in range(2):
        found = np.load(folder / f"weights{index}.npz")
        for name in expected.files:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, rtol=1e-5, err_msg=name)
