"""The process that runs one model file for `zoo.export.bench`, so that its memory is its own.

It reads one command per line as JSON from standard input and answers with one line each. What libraries print
goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

from zoo.errors import ZooError


def peak_memory() -> int | None:
    """Largest resident memory of this process so far, in bytes; `None` where it is not told.

    Not `getrusage`, whose number a process inherits from the one that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None


class _Worker:
    def __init__(self, path: Path, *, threads: int, runner: str):
        self.path, self.threads, self.location = path, threads, runner
        self.size: tuple[int, int] | None = None

    def open(self) -> dict:
        """Load the file; what it is, and the memory that its runtime takes by itself."""
        from zoo.export.core.format import imported
        from zoo.export.timing.runners import open_runner

        kind = imported(self.location)
        kind.import_runtime(threads=self.threads)
        runtime = peak_memory()
        self.runner = open_runner(self.path, threads=self.threads, kind=kind)
        return {"format": self.runner.format, "size": self.runner.size, "runtime_bytes": runtime}

    def prepare(self, size: list[int]) -> dict:
        """Make an image of that (height, width)."""
        self.size = (int(size[0]), int(size[1]))
        self.runner.prepare(self.size)
        return {}

    def run(self) -> dict:
        """Run once; seconds by the clock and of this process's processor time."""
        since, cpu = time.perf_counter(), time.process_time()
        self.runner.run()
        return {"seconds": time.perf_counter() - since, "cpu_seconds": time.process_time() - cpu}

    def memory(self) -> dict:
        """Peak so far."""
        return {"peak_bytes": peak_memory()}

    def operations(self) -> dict:
        """Times of the operations."""
        table = self.runner.operation_times(self.path, size=self.size, threads=self.threads)
        return dataclasses.asdict(table)


def main() -> int:
    """Answer commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = _Worker(Path(sys.argv[1]), threads=int(sys.argv[2]), runner=sys.argv[3])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(worker, command.pop("do"))(**command)
        except ZooError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        except Exception as error:  # of whatever runtime: told by the process that asked
            text = " ".join(str(error).split())[:300]
            answer = {"error": "InputError", "message": f"{worker.path} cannot be run: {text}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
