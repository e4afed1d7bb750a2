"""Starts training programs in processes of their own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("training_fixtures.py")


def start(mode, file, what, **environment):
    hidden = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "ZOO_WORKERS", "JOB_COMPLETION_INDEX")
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
