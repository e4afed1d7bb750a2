"""A file in a process of its own, see `zoo.export.timing.worker`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from zoo import errors
from zoo.errors import InputError
from zoo.export import formats


class Process:
    """One file in a process of its own, which answers commands."""

    def __init__(self, path: Path, *, threads: int, runner: str | None = None):
        self._path = path
        # The process has a table of its own, without what was added to the one of this process.
        runner = runner or formats.at(path, part="runner").runner
        command = [sys.executable, "-m", "zoo.export.timing.worker", str(path), str(threads), runner]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without the pipes that it was started with")
        self._commands, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error) -> None:
        with contextlib.suppress(OSError):  # what a dead process was to be told
            self._commands.close()
        self._answers.close()
        self._process.terminate()
        self._process.wait()

    def ask(self, command: str, **arguments) -> dict:
        """The answer to one command."""
        try:
            self._commands.write(json.dumps({"do": command, **arguments}) + "\n")
            self._commands.flush()
            line = self._answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            reason = f"killed by signal {-status}" if status < 0 else f"status {status}"
            raise InputError(
                f"{self._path}: the process that runs it has ended ({reason}); too little memory?"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["message"])
        return answer
