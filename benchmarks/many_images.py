"""Jobs on many small images, which the script draws: memory on the way, and Ray beside one process.

    python benchmarks/many_images.py memory --count 5000
    python benchmarks/many_images.py ray --count 2000 --broken 20 --actors 2

``memory`` runs `zoo segment` and prints its resident set after each tenth of the images, and what was added
between the second tenth and the last; with ``--keras`` the same of a Keras model.
``ray`` kills a job of ``--engine ray`` once a third is done, goes on with it, and counts what was done twice;
then it does the same images by one process with one thread, and with as many threads as there are actors. The
seconds of a job are those from its first image to its last; what starting and ending take is printed beside.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((64, 96), (96, 64), (80, 80), (64, 80))
MODEL = "deeplabv3_aspp"


def draw(folder: Path, count: int, *, broken: int = 0) -> None:
    """So many photographs of a few sizes, some of them cut off."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    wrong = set(rng.choice(count, broken, replace=False)) if broken else set()
    for number in range(count):
        height, width = SIZES[number % len(SIZES)]
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        path = folder / f"{number:06d}.jpg"
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
        if number in wrong:
            path.write_bytes(path.read_bytes()[:400])


def exported(folder: Path) -> Path:
    """The bundled model as an ONNX file of any size."""
    path = folder / "model.onnx"
    words = ["export", MODEL, "--format", "onnx", "--output", str(path)]
    subprocess.run([sys.executable, "-m", "zoo", *words], check=True, stdout=subprocess.DEVNULL)
    return path


def started(words: list[str]) -> subprocess.Popen:
    nowhere = subprocess.DEVNULL
    # Ray's processes are niced by 15 by default, and would wait for whatever else the machine does.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "zoo", *words], stdout=nowhere, stderr=nowhere, env=environment
    )


def lines_of(output: Path) -> list[bytes]:
    """What is written down by now, in all files of the record."""
    found: list[bytes] = []
    for path in (output / "record").glob("*.jsonl"):
        try:
            found += [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        except FileNotFoundError:  # taken over meanwhile
            continue
    return found


def resident(pid: int) -> float:
    """MB of the resident set of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def memory(work: Path, model: str, count: int) -> None:
    output = work / f"out-{Path(model).stem}"
    process = started(["segment", model, str(work / "photos"), "--output", str(output)])
    steps, found = [count * tenth // 10 for tenth in range(1, 11)], []
    journal = output / "record" / "done.jsonl"
    while process.poll() is None and len(found) < len(steps):
        done = journal.read_bytes().count(b"\n") if journal.exists() else 0
        if done >= steps[len(found)]:
            found.append(resident(process.pid))
            print(f"{Path(model).name:<16} {done:>6} images  {found[-1]:7.1f} MB", flush=True)
        time.sleep(0.05)
    process.wait()
    if len(found) > 2:
        print(f"{Path(model).name:<16} from the second tenth on: {found[-1] - found[1]:+.1f} MB")


def settled(output: Path) -> int:
    """How many images are written down once the processes of a killed job have ended, too."""
    found = -1
    while found != (now := len(set(lines_of(output)))):
        found = now
        time.sleep(1)
    return found


class Job:
    """A run of the command, timed from its first image to its last."""

    def __init__(self, words: list[str], output: Path, *, until: int | None = None):
        before, since = len(set(lines_of(output))), time.monotonic()
        process = started([*words, "--output", str(output)])
        first = last = None
        while process.poll() is None:
            done = len(set(lines_of(output)))  # what is taken over stands there twice for a moment
            if done > (last[1] if last else before):
                last = time.monotonic(), done
                first = first or last
            if until is not None and done >= until:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
        process.wait()
        whole = time.monotonic() - since
        self.done = settled(output) - before
        start, end = first or (since, 0), last or (since, 0)
        self.seconds = end[0] - start[0]
        self.around = whole - self.seconds
        self.per_second = (end[1] - start[1]) / max(self.seconds, 1e-9)


def by_ray(work: Path, model: str, count: int, actors: int) -> None:
    output, words = work / "ray", ["segment", model, str(work / "photos")]
    ray = [*words, "--engine", "ray", "--actors", str(actors)]
    killed = Job(ray, output, until=count // 3)
    times = {path.name: path.stat().st_mtime_ns for path in output.glob("*_mask.png")}
    recorded = {json.loads(line).get("mask") for line in lines_of(output)}
    rest = Job(ray, output)
    one = Job([*words, "--threads", "1"], work / "one")
    several = Job([*words, "--threads", str(actors)], work / "threads")
    masks = {path.name: path.stat().st_mtime_ns for path in output.glob("*_mask.png")}
    again = sum(masks[name] != times[name] for name in times if name in recorded)
    keys = [json.loads(line)["key"] for line in lines_of(output)]
    with open(output / "failures.csv", newline="") as file:
        reasons = sum(1 for _ in csv.reader(file)) - 1
    print(f"killed after {killed.done} images, {rest.done} in the second run")
    print(
        f"{len(masks)} masks, {reasons} reasons, {again} done twice, {len(keys) - len(set(keys))} lines twice"
    )
    equal = (output / "shares.csv").read_bytes() == (work / "one" / "shares.csv").read_bytes()
    print(f"tables of Ray and of one process are {'equal' if equal else 'DIFFERENT'}")
    print(f"{'':<24} {'images/s':>9} {'seconds':>8} {'around':>9}")
    rows = {f"ray, {actors} actors (resumed)": rest, "one process, 1 thread": one}
    for name, job in {**rows, f"one process, {actors} threads": several}.items():
        print(f"{name:<24} {job.per_second:>9.1f} {job.seconds:>8.1f} {job.around:>9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("memory", "ray"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--broken", type=int, default=0)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--keras", action="store_true", help="memory: a Keras model as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        draw(work / "photos", args.count, broken=args.broken)
        model = str(exported(work))
        if args.what == "ray":
            by_ray(work, model, args.count, args.actors)
            return
        memory(work, model, args.count)
        if args.keras:
            memory(work, MODEL, args.count)


if __name__ == "__main__":
    main()
