"""Several workers of one program on this machine, started again together when one of them dies.

A worker cannot return to a cluster that runs: the others wait in the step that it was part of. So all are
ended and started anew, under new addresses, and go on from the last checkpoint, as a cluster manager does
that restarts a job of which a task has failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError, WorkerLostError

_MOST = 256
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 30.0
_SHOWN = 2000  # last characters of what a worker said
# Statuses that another attempt would not change: wrong input, and an interruption that was asked for.
_FINAL = (2, 130)

Started = Callable[[Sequence[subprocess.Popen]], None]


@dataclass(frozen=True)
class Launched:
    """How a program of several workers ended.

    Attributes:
        status: Exit status: 0 where all workers had it.
        restarts: How often all were started again.
    """

    status: int
    restarts: int


def launch(
    command: Sequence[str],
    *,
    workers: int,
    restarts: int = 10,
    note: Callable[[str], None] = print,
    started: Started | None = None,
) -> Launched:
    """Run a program as several workers of ``TF_CONFIG`` on loopback addresses.

    The first worker, the chief, has this process's streams; what the others say is shown if they fail.

    Args:
        command: Program and arguments, the same for all.
        workers: Number of processes.
        restarts: How often a worker may die of a signal or an unknown error.
        note: Called with a line for each restart.
        started: Called with the processes each time that they were started.

    Raises:
        InputError: Numbers that are out of range, or a program that cannot be started.
        WorkerLostError: Workers have died once more than `restarts`.
    """
    for name, value, least in (("workers", workers, 1), ("restarts", restarts, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
            raise InputError(f"{name} must be from {least} to {_MOST}, not {value!r}")
    if not command:
        raise InputError("there is no program to launch: give it after --")
    for attempt in range(restarts + 1):
        with tempfile.TemporaryDirectory() as folder, _group(command, workers, Path(folder)) as processes:
            if started is not None:
                started(processes)
            dead = _first_dead(processes)
            if dead is None:
                return Launched(0, attempt)
            status = processes[dead].returncode
            said = _said(Path(folder), dead)
            if status in _FINAL:
                if said:
                    note(said)
                return Launched(status, attempt)
        what = f"worker {dead} has ended with status {status}{f': {said}' if said else ''}"
        if attempt < restarts:
            note(f"{what}; all start again")
    raise WorkerLostError(f"{what}, after {restarts} restarts")


def _first_dead(processes: Sequence[subprocess.Popen]) -> int | None:
    """Which worker failed first; `None` once all have ended well."""
    while True:
        states = [process.poll() for process in processes]
        failed = [index for index, state in enumerate(states) if state]
        if failed:
            # Whoever was killed is the cause where another one has noticed it by now.
            return min(failed, key=lambda index: (states[index] in _FINAL, index))
        if all(state == 0 for state in states):
            return None
        time.sleep(_POLL_SECONDS)


def _said(folder: Path, index: int) -> str:
    """The last line of what a worker but the chief wrote."""
    path = folder / str(index)
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace")[-_SHOWN:].strip().splitlines()
    return lines[-1] if lines else ""


@contextlib.contextmanager
def _group(command: Sequence[str], workers: int, folder: Path) -> Iterator[list[subprocess.Popen]]:
    """All workers; signals to this process reach them, and none outlives the block."""
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(workers)]
    processes: list[subprocess.Popen] = []
    with contextlib.ExitStack() as stack:
        stack.callback(_end, processes)
        for index in range(workers):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
            own = None if index == 0 else stack.enter_context((folder / str(index)).open("wb"))
            try:
                # Groups of their own: what a terminal sends comes once, from here.
                processes.append(
                    subprocess.Popen(
                        list(command), env=environment, stdout=own, stderr=own, start_new_session=True
                    )
                )
            except OSError as error:
                raise InputError(f"cannot start {command[0]}: {error.strerror}") from error
        with _forwarded(processes):
            yield processes


@contextlib.contextmanager
def _forwarded(processes: Sequence[subprocess.Popen]) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM go to the workers."""

    def forward(number: int, frame: object) -> None:
        for process in processes:
            with contextlib.suppress(OSError):
                process.send_signal(number)

    before = {}
    with contextlib.suppress(ValueError):  # another thread than the main one has no signals
        before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(processes: Sequence[subprocess.Popen]) -> None:
    """Kill what still runs: it waits for a worker that is gone. After an interruption it may save first."""
    asked = any(process.poll() in _FINAL for process in processes)
    limit = time.monotonic() + (_GRACE_SECONDS if asked else 0.0)
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, limit - time.monotonic()))
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
