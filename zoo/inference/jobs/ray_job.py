"""A job on the processes of Ray: each takes images in batches, and writes their files and its own record."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InputError, ZooError
from zoo.inference.batches import segment_batch
from zoo.inference.jobs.items import Item
from zoo.inference.jobs.journal import Part
from zoo.inference.jobs.model_source import ModelSource
from zoo.inference.jobs.record import FOLDER
from zoo.inference.jobs.sources import Reader
from zoo.inference.jobs.work import JobSettings, Row, done, failure, head, written

_BATCH = 16  # images that a process has in memory
_BLOCK = 4 * _BATCH  # images of a task, whose rows come back together
_MOST_BYTES = 64 << 20  # of those images: fewer are taken at once where they are large
_STORE = 256 << 20  # bytes of Ray's store, through which only rows go


def check_ray(actors: int | None) -> None:
    """`InputError` where Ray is not installed, or for a number of processes that is none."""
    if actors is not None and actors < 1:
        raise InputError(f"--actors must be a positive integer, not {actors}")
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise InputError(f"--engine ray: {error}; pip install 'atrous-zoo[ray]'") from None


def rows_by_ray(
    source: ModelSource,
    todo: Sequence[tuple[Item, str]],
    *,
    folder: Path,
    settings: JobSettings,
    windowed: Collection[str] = (),
    actors: int | None = None,
) -> Iterator[tuple[Row, float]]:
    """A row for each image, as it is done, and the seconds that it took with its part of a batch.

    Args:
        source: What every process opens.
        todo: Images with the names of their results.
        folder: Of the results, with a record; every process sees it under this path.
        settings: How.
        windowed: Keys of the images that are read by windows.
        actors: Processes; one per processor of Ray by default.
    """
    if not todo:
        return
    import ray

    with _running(ray, actors):
        count = actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
        rows = [
            {"item": json.dumps([asdict(item), name, item.key in windowed]), "order": order}
            for order, (item, name) in enumerate(todo)
        ]
        blocks = -(-len(rows) // min(_BLOCK, -(-len(rows) // count)))
        data = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            _Actor,
            batch_size=_BATCH,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
            fn_constructor_kwargs={
                "source": source,
                "folder": str(folder.resolve()),
                "settings": settings,
                "start": os.getcwd(),
            },
        )
        with _told(ray):
            for row in data.iter_rows():
                yield json.loads(row["row"]), float(row["seconds"])


@contextlib.contextmanager
def _told(ray: Any) -> Iterator[None]:
    """What ends a job in one of its processes, as one line."""
    try:
        yield
    except ray.exceptions.RayError as error:
        chain, cause = [], error
        while cause is not None and cause not in chain:
            chain.append(cause)
            cause = getattr(cause, "cause", None) or cause.__cause__
        # The text of an error ends with the traceback of the process, and that with its last line.
        lines = [line.strip() for line in str(chain[-1]).splitlines() if line.strip()]
        raise InputError(
            f"a process of Ray failed: {lines[-1] if lines else type(error).__name__}"
        ) from error


@contextlib.contextmanager
def _running(ray: Any, actors: int | None) -> Iterator[None]:
    """Ray as it runs, on the cluster of ``RAY_ADDRESS``, or for this job alone on this machine."""
    own = not ray.is_initialized()
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    if own:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
        local = {"num_cpus": actors or os.cpu_count(), "object_store_memory": _STORE}
        ray.init(**quiet, **({} if os.environ.get("RAY_ADDRESS") else local))
        logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = bars
        if own:
            ray.shutdown()


class _Actor:
    """What runs in each process."""

    def __init__(self, *, source: ModelSource, folder: str, settings: JobSettings, start: str):
        with contextlib.suppress(OSError):  # paths are as they were given where the job was begun
            os.chdir(start)
        self._folder, self._settings = Path(folder), settings
        self._model = source.opened(threads=1)
        self._reader = Reader(reading=settings.reading())
        self._part = Part(self._folder / FOLDER)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows, seconds = [], []
        since = time.perf_counter()
        for row in self._rows([json.loads(text) for text in batch["item"]]):
            self._part.add(row)
            rows.append(json.dumps(row))
            seconds.append(time.perf_counter() - since)
            since = time.perf_counter()
        return {"row": np.array(rows, object), "seconds": np.array(seconds)}

    def _rows(self, items: list) -> Iterator[Row]:
        waiting: list[tuple[Item, str, np.ndarray]] = []
        for fields, name, by_windows in items:
            item = Item(**{**fields, "stamp": tuple(fields["stamp"])})
            if by_windows:
                where = {"folder": self._folder, "settings": self._settings, "reader": self._reader}
                yield done(self._model, item, name, **where, by_windows=True)
                continue
            try:
                waiting.append((item, name, self._reader.pixels(item)))
            except ZooError as error:
                yield failure(item, name, error)
            if sum(pixels.nbytes for _, _, pixels in waiting) > _MOST_BYTES:
                yield from self._segmented(waiting)
                waiting = []
        yield from self._segmented(waiting)

    def _segmented(self, waiting: list[tuple[Item, str, np.ndarray]]) -> Iterator[Row]:
        images = [pixels for _, _, pixels in waiting]
        for index, found in segment_batch(self._model, images, **self._settings.seeing()):
            item, name, _ = waiting[index]
            if isinstance(found, ZooError):
                yield failure(item, name, found)
            else:
                files = written(found, name, folder=self._folder, settings=self._settings)
                yield {**head(item, name), **files}
