"""Workers on this machine are started together, ended together, and started again when one dies."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from zoo.cli import main
from zoo.errors import InputError, WorkerLostError
from zoo.training.launching import launch


def program(text):
    return [sys.executable, "-c", f"import json, os, pathlib, signal, sys, time\n{text}"]


def quiet(message):
    """For lines that a test does not look at."""


def gone(process):
    return process.poll() is not None


def test_each_worker_knows_all_and_itself(tmp_path):
    text = "config = os.environ['TF_CONFIG']; n = json.loads(config)['task']['index']\n"
    text += f"pathlib.Path({str(tmp_path)!r}, str(n)).write_text(config)"
    assert launch(program(text), workers=3).status == 0
    configs = [json.loads((tmp_path / str(index)).read_text()) for index in range(3)]
    assert [config["task"] for config in configs] == [{"type": "worker", "index": n} for n in range(3)]
    (addresses,) = {tuple(config["cluster"]["worker"]) for config in configs}
    assert len(set(addresses)) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_killed_worker_starts_all_again(tmp_path):
    marks, groups, notes = tmp_path / "marks", [], []

    def kill(processes):
        groups.append(processes)
        if len(groups) < 3:
            os.kill(processes[1].pid, signal.SIGKILL)
        else:
            marks.touch()

    text = f"while not os.path.exists({str(marks)!r}): time.sleep(0.01)"
    done = launch(program(text), workers=2, note=notes.append, started=kill)
    assert (done.status, done.restarts) == (0, 2)
    assert notes == ["worker 1 has ended with status -9; all start again"] * 2
    assert all(gone(process) for group in groups for process in group)


def test_too_many_deaths_are_one_line():
    text = "chief = json.loads(os.environ['TF_CONFIG'])['task']['index'] == 0\n"
    text += "time.sleep(60) if chief else sys.exit('out of luck')"
    with pytest.raises(WorkerLostError, match="ended with status 1: out of luck, after 1 restarts"):
        launch(program(text), workers=2, restarts=1, note=quiet)


def test_wrong_input_is_final(capfd):
    words = ["launch", "--workers", "2", "--", "zoo", "dilation", "check", "0"]
    assert main(words) == 2
    assert "restart" not in capfd.readouterr().err


def test_a_signal_reaches_all(tmp_path):
    ready = str(tmp_path / "ready")
    text = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n"
    text += f"open({ready!r} + str(os.getpid()), 'w')\nwhile True: time.sleep(0.01)"

    def later(processes):
        def send():
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=send).start()

    assert launch(program(text), workers=2, started=later).status == 130


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        (["x"], {"workers": 0}, "workers must be from 1 to 256, not 0"),
        (["x"], {"workers": 2, "restarts": -1}, "restarts must be from 0"),
        ([], {"workers": 2}, "there is no program"),
        (["/none/such"], {"workers": 2}, "cannot start /none/such: No such file"),
    ],
)
def test_what_cannot_be_launched(command, options, message):
    with pytest.raises(InputError, match=message):
        launch(command, **options)
