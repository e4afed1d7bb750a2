"""``zoo dataset pack``: any data set as shards of records, by several processes, resumable.

A shard is written beside, read again and renamed; a note of it (``.SHARD.json``) then says that it is done.
The index takes the place of all notes at the end. Equal data give equal bytes, by however many processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.datasets.dataset import Dataset
from zoo.datasets.order import epoch_order
from zoo.datasets.records.example import Sample, encoded
from zoo.datasets.records.framing import FRAME, framed, read_all
from zoo.datasets.records.index import ENDING, SUFFIX, Entry, Index, Shard, digest_of, read_index
from zoo.errors import FormatError, InputError
from zoo.files import check_local, write_text, written_whole
from zoo.images.pixels import depth_of

# Shards that are neither many nor long, and at least as many as a machine has GPUs.
_SHARD_BYTES, _FEWEST = 256 << 20, 8
_MOST = 99_999
_ORIENTATION = 274
_PARTS = 3  # of a file's path that are kept as its name


@dataclass(frozen=True)
class Packed:
    """What `pack` has done.

    Attributes:
        folder: Of the shards.
        index: Of the split.
        written: Shards that this call wrote; the others were there.
    """

    folder: Path
    index: Index
    written: int

    @property
    def samples(self) -> int:
        """Number of them."""
        return sum(len(shard.entries) for shard in self.index.shards)

    def to_dict(self) -> dict:
        """Plain data for a JSON document."""
        shards = self.index.shards
        return {
            "folder": str(self.folder),
            "split": self.index.split,
            "samples": self.samples,
            "shards": len(shards),
            "written": self.written,
            "bytes": sum(shard.size for shard in shards),
            "classes": list(self.index.label_set.names),
        }


def pack(
    dataset: Dataset,
    output: Path | str,
    *,
    shards: int | None = None,
    workers: int = 1,
    shuffle: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Packed:
    """Write a split as shards of records and their index.

    Images are the bytes of their files. Masks are labels, as `Dataset.read` gives them, in grey PNG files;
    the colours of the classes stand in the index. The folder may have other splits. A call that was
    interrupted goes on where it was.

    Args:
        dataset: To be packed.
        output: Folder, made if missing.
        shards: Number of files; by default one for each 256 MB, at least 8. No more than samples.
        workers: Processes.
        shuffle: Seed of another order of the samples; `None` keeps that of the data set.
        progress: Wraps the iteration over the shards that are to be written.

    Raises:
        InputError: Numbers below 1, a folder with another packing of this split, or a sample that is wrong.
        FormatError: A sample that is damaged.
    """
    shards = _checked(dataset, shards, workers)
    folder = check_local(output)
    if shuffle is not None:
        order = epoch_order(len(dataset), seed=shuffle, epoch=0)
        dataset = replace(dataset, pairs=tuple(dataset.pairs[index] for index in order))
    ends = [number * len(dataset) // shards for number in range(shards + 1)]
    jobs = [
        _Job(replace(dataset, pairs=dataset.pairs[ends[n] : ends[n + 1]]), folder, n, shards)
        for n in range(shards)
    ]
    plan = hashlib.sha256("".join(job.plan() for job in jobs).encode()).hexdigest()
    index = folder / f"{dataset.split}{ENDING}"
    if index.is_file():
        found = read_index(index)
        if found.plan != plan:
            raise InputError(f"{index}: is of other data or shards; give a new folder, or remove its files")
        return Packed(folder, found, 0)
    folder.mkdir(parents=True, exist_ok=True)
    done = {job.number: shard for job in jobs if (shard := job.done()) is not None}
    missing = [job for job in jobs if job.number not in done]
    with _pool(min(workers, len(missing))) as run:
        shards_made = run(_write, missing)
        for job in progress(missing):
            done[job.number] = next(shards_made)
    made = tuple(done[number] for number in range(shards))
    found = Index(dataset.split, dataset.name, dataset.label_set, dataset.reading, plan, made)
    found.write(folder)
    for job in jobs:
        job.note().unlink(missing_ok=True)
    return Packed(folder, found, len(missing))


def _checked(dataset: Dataset, shards: int | None, workers: int) -> int:
    """Number of shards."""
    for name, value in (("shards", 1 if shards is None else shards), ("workers", workers)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
            raise InputError(f"{name} is a number from 1 to {_MOST}, not {value!r}")
    if shards is not None and shards > len(dataset):
        raise InputError(f"{shards} shards are more than {len(dataset)} samples")
    if Path(dataset.split).name != dataset.split:
        raise InputError(f"the split {dataset.split!r} cannot name a file")
    if shards is None:
        size = sum(path.stat().st_size for pair in dataset.pairs for path in pair)
        shards = min(max(_FEWEST, math.ceil(size / _SHARD_BYTES)), len(dataset))
    return shards


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[Callable]:
    """A `map` in so many processes, or in this one."""
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


# --- one shard ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """One shard that is to be written.

    Attributes:
        dataset: Its samples.
        folder: Of the shard.
        number: From 0 on.
        count: Shards of the split.
    """

    dataset: Dataset
    folder: Path
    number: int
    count: int

    def path(self) -> Path:
        """Of the shard."""
        return self.folder / f"{self.dataset.split}-{self.number:05d}-of-{self.count:05d}{SUFFIX}"

    def note(self) -> Path:
        """Of what says that the shard is done."""
        return self.folder / f".{self.path().name}.json"

    def plan(self) -> str:
        """Digest of what goes into the shard: files by size and time of change, and how they are read."""
        data = self.dataset
        said = [data.label_set.to_config(), astuple(data.reading), data.values().tolist(), data.colors]
        digest = hashlib.sha256(json.dumps([*said, data.distance, self.number, self.count]).encode())
        for path in (path for pair in data.pairs for path in pair):
            state = path.stat()
            stamp = f"{'/'.join(path.parts[-_PARTS:])}\0{state.st_size}\0{state.st_mtime_ns}\n"
            digest.update(stamp.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def done(self) -> Shard | None:
        """The shard, if an earlier call has finished it."""
        try:
            document = json.loads(self.note().read_text(encoding="utf-8"))
            shard = Shard.from_dict(document["shard"])
            whole = document["plan"] == self.plan() and digest_of(self.path()) == shard.sha256
            return shard if whole else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None


def _write(job: _Job) -> Shard:
    """Write one shard, and read it again before it gets its name."""
    labels = job.dataset.label_set
    ignored = labels.ignore_label
    entries, pixels, offset = [], np.zeros(256, np.int64), 0
    path = job.path()
    with written_whole(path) as part:
        with part.open("wb") as file:
            for index in range(len(job.dataset)):
                sample, mask = _sample(job.dataset, index)
                record = encoded(sample)
                file.write(framed(record))
                sizes = sample.name, len(sample.image), sample.mask_name, len(sample.mask)
                entries.append(Entry(offset, len(record), *sizes, is_plain(sample.image)))
                pixels += np.bincount(mask.ravel(), minlength=256)
                offset += FRAME + len(record)
        found = [(at, len(record)) for at, record in read_all(part)]
        if found != [(entry.offset, entry.length) for entry in entries]:
            raise FormatError(f"{path}: does not read as it was written")
        counts = (*pixels[: len(labels)], 0 if ignored is None else pixels[ignored])
        counts = tuple(int(count) for count in counts)
        shard = Shard(path.name, offset, digest_of(part), counts, tuple(entries))
    write_text(job.note(), json.dumps({"plan": job.plan(), "shard": shard.to_dict()}))
    return shard


def _sample(dataset: Dataset, index: int) -> tuple[Sample, np.ndarray]:
    """One sample as files, and its mask's labels; every check of `Dataset.read` holds."""
    image, mask = dataset.pairs[index]
    _, labels = dataset.read_bytes(index)
    file = io.BytesIO()
    Image.fromarray(labels).save(file, format="PNG")
    try:
        with image.open("rb") as source:
            content = source.read()
    except OSError as error:
        raise InputError(f"{image}: {error.strerror}") from None
    names = ["/".join(path.parts[-_PARTS:]).lstrip("/") for path in (image, mask)]
    return Sample(names[0], content, names[1], file.getvalue()), labels


def is_plain(content: bytes) -> bool:
    """See `Entry.plain`."""
    with Image.open(io.BytesIO(content)) as image:
        modes = {"JPEG": ("RGB", "L"), "PNG": ("RGB",)}.get(image.format, ())
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        return image.mode in modes and depth_of(image) == 8 and not image.has_transparency_data and not turned
