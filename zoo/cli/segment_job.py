"""What ``zoo segment`` does: which images there are, which of them are to do, and what is told of them."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.cli import notes, opening, options
from zoo.cli.in_order import in_order
from zoo.cli.reading import photo_reading_of
from zoo.cli.segment_names import by_windows, names_of
from zoo.errors import InputError
from zoo.inference.jobs.identity import model_identity
from zoo.inference.jobs.items import Item
from zoo.inference.jobs.record import Record, has_record, recorded
from zoo.inference.jobs.sources import Reader, found_items
from zoo.inference.jobs.tables import write_tables
from zoo.inference.jobs.work import JobSettings, Row, done
from zoo.sequence.table import refuse as refuse_sequences

_THREADS = 2
_MANY = 25  # images from which on a record is kept


@dataclass(kw_only=True)
class _Job:
    """What a command asks for.

    Attributes:
        args: Of the command.
        items: All images.
        settings: How they are segmented.
        windowed: Keys of those that are read by windows.
        record: What is done already, where that is kept.
        rows: Of this run, where there is no record or a document of all is wanted.
        counts: Of images that are done and that failed, of this run and of earlier ones.
    """

    args: argparse.Namespace
    items: Sequence[Item]
    settings: JobSettings
    windowed: set[str]
    record: Record | None = None
    rows: dict[str, Row] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: {"done": 0, "failed": 0})

    def count(self, row: Row) -> None:
        """One image more."""
        self.counts["failed" if "error" in row else "done"] += 1

    def all_rows(self) -> Iterator[Row]:
        """Rows of all images in their order."""
        for item in self.items:
            row = self.rows.get(item.key) if self.record is None else self.record.row_of(item)
            if row is not None:
                yield row


def run(args: argparse.Namespace) -> int:
    """Segment every image that can be read; the exit status is as ``--help`` says."""
    refuse_sequences(args.model)
    items, missing = found_items(args.images, column=args.column, addresses=args.engine == "ray")
    if not items:
        raise InputError("; ".join(failure["error"] for failure in missing))
    for failure in missing:
        _complain(failure)
    _check_engine(args)
    settings = _settings(args)
    job = _Job(args=args, items=items, settings=settings, windowed=by_windows(items, args))
    models = _models(args, len(items))
    identity = model_identity(models[0])
    made = _make_folder(args.output)
    with contextlib.ExitStack() as stack:
        if _wants_record(args, items):
            whole = {"model": identity, "settings": settings.identity()}
            job.record = stack.enter_context(recorded(args.output, whole, redo=args.redo))
        _work(job, models)
        if job.record is not None and job.counts["done"]:
            write_tables(args.output, job.all_rows(), classes=identity["classes"])
        elif job.record is not None:
            job.record.discard()
        if args.json is not None:
            options.write_json(args, _document(models[0], job, missing))
    if not job.counts["done"]:
        _remove(made)
    failed = job.counts["failed"] + len(missing)
    return 0 if not failed else 1 if job.counts["done"] else 2


def _check_engine(args: argparse.Namespace) -> None:
    if args.engine is None and args.actors is not None:
        raise InputError("--actors are processes of --engine ray")
    if args.engine == "ray":
        if args.threads is not None:
            raise InputError("--threads are of this process; the processes of --engine ray have one each")
        from zoo.inference.jobs.ray_job import check_ray

        check_ray(args.actors)


def _settings(args: argparse.Namespace) -> JobSettings:
    return JobSettings(
        scales=args.scales,
        flip=args.flip,
        tile=args.tile,
        opacity=args.opacity,
        legend=not args.no_legend,
        unsure=args.unsure,
        **photo_reading_of(args),
    )


def _wants_record(args: argparse.Namespace, items: Sequence[Item]) -> bool:
    folder = args.output.resolve()
    # What a killed job wrote there would be taken for images of the next.
    among = any(item.row is None and Path(item.key).parent == folder for item in items)
    if among and (args.record or args.redo or args.engine):
        raise InputError(f"--output {args.output} holds the images themselves; give another folder")
    asked = args.record or args.redo is not None or args.engine is not None or has_record(args.output)
    return not among and (asked or len(items) >= _MANY)


def _work(job: _Job, models: list) -> None:
    """Do what is to do, and tell of it."""
    args, record = job.args, job.record
    names = names_of(job.items, args.output, job.windowed, known=record.names() if record else {})
    todo = []
    for item, name in zip(job.items, names, strict=True):
        if record is None or not record.is_done(item):
            todo.append((item, name))
        else:
            job.count(record.row_of(item))
    _tell_of_earlier(job)
    earlier = len(job.items) - len(todo)
    for number, (row, seconds) in enumerate(_rows(job, models, todo), start=earlier + 1):
        job.count(row)
        if record is None:
            job.rows[row["key"]] = row
        else:
            record.add(row)
        if "error" in row:
            _complain(row)
        else:
            shown = _shown(row, args.output)
            _tell(shown, f"[{number}/{len(job.items)}]", seconds, text=options.prints_text(args))


def _rows(job: _Job, models: list, todo: list[tuple[Item, str]]) -> Iterator[tuple[Row, float]]:
    """A row for each image that is to do, and the seconds that it took."""
    if job.args.engine == "ray":
        yield from _rows_by_ray(job, models[0], todo)
        return

    def one(worker: tuple, work: tuple[Item, str]) -> tuple[Row, float]:
        (model, reader), (item, name) = worker, work
        started = time.perf_counter()
        row = done(
            model,
            item,
            name,
            folder=job.args.output,
            settings=job.settings,
            reader=reader,
            by_windows=item.key in job.windowed,
            progress=_show_rows if sys.stderr.isatty() else None,
        )
        return row, time.perf_counter() - started

    workers = [(model, Reader(reading=job.settings.reading())) for model in models]
    yield from in_order(one, todo, workers)


def _rows_by_ray(job: _Job, model, todo: list[tuple[Item, str]]) -> Iterator[tuple[Row, float]]:
    from zoo.inference.jobs.model_source import ModelSource
    from zoo.inference.jobs.ray_job import rows_by_ray

    args = job.args
    source = ModelSource(
        name=args.model,
        weights=args.weights,
        classes=opening.classes_of(args.classes),
        allow_unverified=args.allow_unverified,
        checkpoint_key=args.checkpoint_key,
        digest=str(model_identity(model)["digest"]),
    )
    how = {"folder": args.output, "settings": job.settings, "windowed": job.windowed, "actors": args.actors}
    yield from rows_by_ray(source, todo, **how)
    if job.record is not None:
        job.record.take_parts()


def _models(args: argparse.Namespace, images: int) -> list:
    """The model; of an exported file as many as it has threads, where there are images for each of them."""
    wanted = {"weights": args.weights, "classes": args.classes, **opening.weights_of(args)}
    if opening.needs_tensorflow(args.model):
        if args.threads is not None:
            raise InputError("--threads is for .tflite and .onnx files; TensorFlow has its own settings")
        return [opening.open_model(args.model, **wanted)]
    threads = _THREADS if args.threads is None else args.threads
    # Whole images side by side keep processors busier than one image on all of them.
    count = 1 if args.engine == "ray" else max(1, min(threads, images))
    share = threads // count if threads >= 1 else threads
    return [opening.open_model(args.model, **wanted, threads=share) for _ in range(count)]


def _make_folder(folder: Path) -> list[Path]:
    """Make it; the folders that were not there before, the innermost first."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error
    return absent


def _remove(folders: Sequence[Path]) -> None:
    """Remove those that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _show_rows(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done}/{total} rows", end=end, file=sys.stderr, flush=True)


def _tell_of_earlier(job: _Job) -> None:
    total = sum(job.counts.values())
    if total:
        failed = f", {job.counts['failed']} of them without a result" if job.counts["failed"] else ""
        notes.note(f"{total} of {len(job.items)} images were done before{failed}; --redo does them again")


def _shown(row: Row, folder: Path) -> dict:
    """A row as the document has it."""
    if "error" in row:
        return {"path": row["path"], "error": row["error"]}
    files = {kind: str(folder / str(row[kind])) for kind in ("overlay", "mask")}
    return {"path": row["path"], **files, **{key: row[key] for key in ("height", "width", "shares")}}


def _tell(row: dict, progress: str, seconds: float, *, text: bool) -> None:
    """Print what was found in one image; without `text` only the progress, for a person who waits."""
    head = f"{progress} {row['path']}  {row['width']}x{row['height']}, {seconds:.1f} s"
    if not text:
        if sys.stderr.isatty():
            print(head, file=sys.stderr)
        return
    print(head)
    width = max(map(len, row["shares"]))
    for name, share in row["shares"].items():
        print(f"  {name:<{width}}  {100 * share:5.1f} %")
    print(f"  {row['overlay']}\n  {row['mask']}", flush=True)


def _complain(failure: dict) -> None:
    print(f"zoo: error: {' '.join(failure['error'].split())}", file=sys.stderr)


def _document(model, job: _Job, missing: list[dict]) -> dict:
    source, args = opening.source_of(model) or {}, job.args
    rows = [_shown(row, args.output) for row in job.all_rows()]
    return {
        "model": source.get("model", args.model),
        "weights": source.get("weights", args.weights),
        "labels": opening.labels_of(model).key,
        "scales": list(args.scales),
        "flip": args.flip,
        "tile": list(args.tile) if args.tile else None,
        "images": [row for row in rows if "error" not in row],
        "failed": [*missing, *(row for row in rows if "error" in row)],
    }
