"""Folders of small images for jobs, some of them broken, and what a job left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((24, 32), (32, 24), (33, 47))


def draw(folder: Path, count: int, *, broken=(), seed: int = 0) -> Path:
    """So many images of a few sizes, those with the given numbers cut off."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / f"{number:05d}.png"
        pixels = rng.integers(0, 256, (*SIZES[number % len(SIZES)], 3), np.uint8)
        Image.fromarray(pixels).save(path)
        if number in broken:
            path.write_bytes(path.read_bytes()[:100])
    return folder


def rows_of(output: Path) -> list[dict]:
    """All lines that a job has written down, in all of its files."""
    lines = [line for path in (output / "record").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # cut off in the middle
            continue
    return found


def masks_of(output: Path) -> dict[str, int]:
    """Time of each mask by its name."""
    return {path.name: path.stat().st_mtime_ns for path in output.glob("*_mask.png")}


def start(words) -> subprocess.Popen:
    """``zoo`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "zoo", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Ray's processes are niced by 15 by default, and would wait for the other tests.
        env={**os.environ, "ZOO_OFFLINE": "1", "RAY_worker_niceness": "0"},
    )


def kill_after(process: subprocess.Popen, output: Path, count: int, *, seconds: float) -> int:
    """Kill it without a warning once so many images are written down; how many are by then."""
    until = time.monotonic() + seconds
    while len(rows_of(output)) < count:
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise AssertionError(f"not killed in time: {process.communicate()[1]}")
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return len(rows_of(output))
