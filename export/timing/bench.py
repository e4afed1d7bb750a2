"""`zoo.export.bench`: how long files take, side by side, and how much memory."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import InputError
from zoo.export import formats
from zoo.export.core.operation_times import OperationTable, OperationTime
from zoo.export.opening import ENGINES, check_engine
from zoo.export.openvino.engine import FORMATS
from zoo.export.timing.measurement import Bench, Timing, quartiles_of
from zoo.export.timing.process import Process

DEFAULT_SIZE = (513, 513)
REPEATS, WARM_UP = 20, 3
# Seconds between turns: threads of a runtime that has just run keep spinning for some milliseconds.
PAUSE = 0.02

_ENGINE_RUNNERS = {"openvino": "zoo.export.openvino.runner:OpenVINORunner"}

Progress = Callable[[int, int], None] | None


def bench(
    files: Iterable[Any] | Mapping[str, Any],
    *,
    threads: int = 2,
    repeats: int = REPEATS,
    warm_up: int = WARM_UP,
    size: tuple[int, int] | None = None,
    engine: str | None = None,
    operations: bool = True,
    progress: Progress = None,
) -> Bench:
    """Time files in turns: in every round each runs one image, and another one begins.

    Each file has a process of its own with nothing but its runtime in it. Slow phases of a machine so fall on
    all files, which is why the ratios are taken within a round.

    Args:
        files: Paths of files and folders of any format, ``.keras`` files among them, from the zoo or from
            elsewhere, that take RGB images; Keras models, which run in a `tf.function`; by name, or
            called by their paths.
        threads: Of each runtime.
        repeats: Rounds that count.
        warm_up: Runs of each file before.
        size: (height, width) of the image; by default the static one of the files, or 513×513.
        engine: ``"openvino"`` times TFLite and ONNX files in that as well, under their name and its.
        operations: Whether to time operations, too, where the runtime can tell.
        progress: Called as ``progress(done, total)`` after every round.

    Returns:
        Times, memory and ratios.

    Raises:
        InputError: No files, one that does not exist or has another size, a number below 1, or an engine that
            is not installed.
        FormatError: A damaged file.
    """
    for name, value, least in (("threads", threads, 1), ("repeats", repeats, 1), ("warm_up", warm_up, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name} must be an integer of at least {least}, not {value!r}")
    check_engine(engine)
    with contextlib.ExitStack() as stack:
        paths, runners = _with_engine(_paths(files, stack), engine)
        load = [_load()]
        workers = {
            name: stack.enter_context(Process(path, threads=threads, runner=runners.get(name)))
            for name, path in paths.items()
        }
        facts = {name: worker.ask("open") for name, worker in workers.items()}
        size = _common_size(facts, paths, size)
        for worker in workers.values():
            worker.ask("prepare", size=size)
            for _ in range(warm_up):
                worker.ask("run")
        runs = _rounds(workers, repeats, progress)
        peaks = {name: worker.ask("memory")["peak_bytes"] for name, worker in workers.items()}
        load.append(_load())
        tables = {name: _table(worker) if operations else None for name, worker in workers.items()}
        timings = _timings(paths, facts, runs, peaks, tables)
    return Bench(
        size=size,
        threads=threads,
        repeats=repeats,
        warm_up=warm_up,
        timings=timings,
        versions=_versions(),
        machine={"processor": platform.machine(), "processors": os.cpu_count(), "load": load},
    )


def _load() -> float | None:
    """Processes that want to run, over the last minute; other work than this shows in it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _versions() -> dict[str, str | None]:
    runtimes = (row.runtime for row in formats.rows("runtime"))
    return {
        name: formats.version(name) for name in dict.fromkeys(("atrous-zoo", "keras", *runtimes, *ENGINES))
    }


# --- what is given ----------------------------------------------------------------------------------------


def _paths(files, stack: contextlib.ExitStack) -> dict[str, Path]:
    """Names and paths; Keras models are saved for the time of the measurement."""
    if isinstance(files, str | os.PathLike):
        files = [files]
    named = list(files.items()) if isinstance(files, Mapping) else [(None, item) for item in files]
    if not named:
        raise InputError("nothing to time: give at least one file")
    paths = {}
    for name, item in named:
        if isinstance(item, str | os.PathLike):
            path = Path(item)
        elif hasattr(item, "save"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            path, name = folder / "model.keras", name or f"keras {item.name}"
            item.save(path)
        else:
            raise InputError(f"bench takes paths and Keras models, not {type(item).__name__}")
        formats.at(path, part="runner")
        name = name or str(path)
        if name in paths:
            raise InputError(f"{name} is given twice")
        paths[name] = path
    return paths


def _with_engine(paths: dict[str, Path], engine: str | None) -> tuple[dict[str, Path], dict[str, str]]:
    """The paths, and beside each that an engine runs the same once more; the runners of these by name."""
    every, runners = {}, {}
    for name, path in paths.items():
        every[name] = path
        if engine is not None and path.suffix.removeprefix(".") in FORMATS:
            other = f"{name} ({engine})"
            every[other], runners[other] = path, _ENGINE_RUNNERS[engine]
    if engine is not None and not runners:
        raise InputError(f"{engine} runs .tflite and .onnx files, and none is given")
    return every, runners


def _common_size(facts: dict[str, dict], paths: dict[str, Path], size) -> tuple[int, int]:
    static = {name: tuple(fact["size"]) for name, fact in facts.items() if fact["size"]}
    if size is None:
        size = next(iter(static.values()), DEFAULT_SIZE)
    whole = isinstance(size, tuple | list) and all(isinstance(n, int) and n > 0 for n in size)
    if not whole or len(size) != 2:
        raise InputError(f"size must be (height, width) in pixels, not {size!r}")
    for name, own in static.items():
        if own != tuple(size):
            raise InputError(
                f"{name} takes images of {own[0]}x{own[1]}, not {size[0]}x{size[1]}:"
                " files of different sizes cannot be compared"
            )
    height, width = size
    return height, width


# --- rounds -----------------------------------------------------------------------------------------------


def _rounds(workers: dict[str, Process], repeats: int, progress: Progress) -> dict[str, list[dict]]:
    runs: dict[str, list[dict]] = {name: [] for name in workers}
    names = list(workers)
    for index in range(repeats):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE)
            runs[name].append(workers[name].ask("run"))
        if progress is not None:
            progress(index + 1, repeats)
    return runs


def _table(worker: Process) -> OperationTable:
    answer = worker.ask("operations")
    times = tuple(OperationTime(**entry) for entry in answer["times"])
    return OperationTable(method=answer["method"], times=times)


def _timings(paths, facts, runs, peaks, tables) -> tuple[Timing, ...]:
    base = [run["seconds"] for run in next(iter(runs.values()))]
    timings = []
    for name, path in paths.items():
        seconds = tuple(run["seconds"] for run in runs[name])
        ratios = [first / own for first, own in zip(base, seconds, strict=True)]
        timings.append(
            Timing(
                name=name,
                path=str(path),
                format=facts[name]["format"],
                bytes=_bytes_of(path),
                seconds=seconds,
                cpu_seconds=tuple(run["cpu_seconds"] for run in runs[name]),
                peak_bytes=peaks[name],
                runtime_bytes=facts[name]["runtime_bytes"],
                ratio=statistics.median(ratios),
                ratio_quartiles=quartiles_of(ratios),
                operations=tables[name],
            )
        )
    return tuple(timings)


def _bytes_of(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
