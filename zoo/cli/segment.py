"""``zoo segment``: overlays, masks and the share of each class."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from zoo.cli import notes, opening, options, values
from zoo.cli.in_order import in_order
from zoo.cli.reading import add_photo_reading, photo_reading_of
from zoo.errors import InputError, ZooError
from zoo.export import formats
from zoo.sequence.table import refuse as refuse_sequences

_THREADS = 2
_LARGE = 50_000_000  # pixels of a TIFF from which --tile reads it by windows
_DESCRIPTION = """\
Segment images. For every image the output folder receives

  <name>_overlay.png  the image under the colours of its classes, with a legend
  <name>_mask.png     class indices as a palette image

and the share of each class is printed. Images of the same name from different folders are
numbered: street, street-2, and so on.

With --tile a TIFF that has a place on the map, or more than 50 million pixels, is read and written
by windows, in memory that its height does not change: <name>_overlay.tif without a legend and
<name>_mask.tif, tiled, at the same place (pip install 'atrous-zoo[geo]').
"""
_EPILOG = """\
exit status: 0 all images done; 1 some could not be read (they are named on stderr, the others
are done); 2 none done, or another error

examples:
  zoo segment deeplabv3_aspp street.jpg --output out/
  zoo segment deeplabv3_aspp photos/ --scales 0.75,1,1.25 --flip --json shares.json
  zoo segment deeplabv3_aspp "photos/**/*.jpg" --tile 512x512
  zoo segment deeplabv3_aspp town.tif --tile 1024 --output out/
  zoo segment m.tflite photos/ --output out/ --threads 4
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``segment``."""
    parser = subparsers.add_parser(
        "segment",
        help="segment images: overlay, mask and share of each class",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help=f"name of a model or architecture, or a {formats.titles()}")
    add("images", metavar="IMAGE", nargs="+", help="file, folder, or glob in quotes")
    options.add_weights(parser)
    options.add_classes(parser, use="of a weights file that has no names")
    add("--output", metavar="DIR", type=Path, default=Path("out"), help="made if missing (out)")
    options.add_averaging(parser)
    add("--opacity", type=values.parse_share, default=0.55, metavar="0…1", help="of the colours (0.55)")
    add("--unsure", type=values.parse_share, metavar="0…1", help="stripe pixels of less confidence")
    add("--no-legend", action="store_true", help="overlay of the size of the image")
    options.add_threads(parser)
    add_photo_reading(parser)
    options.add_json(parser)
    parser.set_defaults(run=run, threads=None)


def run(args: argparse.Namespace) -> int:
    """Segment every image that can be read; the exit status is as ``--help`` says."""
    refuse_sequences(args.model)
    paths, failed = _found(args.images)
    if not paths:
        raise InputError("; ".join(failure["error"] for failure in failed))
    for failure in failed:
        _complain(failure)

    models = _models(args, len(paths))
    by_windows = {path for path in paths if _is_by_windows(path, args)}
    names = _names(paths, args.output, by_windows)
    made = _make_folder(args.output)
    done = []
    jobs = [(path, name, path in by_windows) for path, name in zip(paths, names, strict=True)]
    rows = in_order(lambda model, job: _segmented(model, args, *job), jobs, models)
    for number, (row, seconds) in enumerate(rows, start=1):
        if "error" in row:
            failed.append(row)
            _complain(row)
            continue
        done.append(row)
        _tell(row, f"[{number}/{len(paths)}]", seconds, text=options.prints_text(args))
    if not done:
        _remove(made)
    options.write_json(args, _document(models[0], args, done, failed))
    return 0 if not failed else 1 if done else 2


def _models(args: argparse.Namespace, images: int) -> list:
    """The model; of an exported file as many as it has threads, where there are images for each of them."""
    wanted = {"weights": args.weights, "classes": args.classes, **opening.weights_of(args)}
    if opening.needs_tensorflow(args.model):
        if args.threads is not None:
            raise InputError("--threads is for .tflite and .onnx files; TensorFlow has its own settings")
        return [opening.open_model(args.model, **wanted)]
    threads = _THREADS if args.threads is None else args.threads
    # Whole images side by side keep processors busier than one image on all of them.
    count = max(1, min(threads, images))
    share = threads // count if threads >= 1 else threads
    return [opening.open_model(args.model, **wanted, threads=share) for _ in range(count)]


def _segmented(
    model, args: argparse.Namespace, path: Path, name: str, by_windows: bool
) -> tuple[dict, float]:
    """What was written of an image, or why it could not be read; and the seconds it took."""
    started = time.perf_counter()
    try:
        write = (_raster if by_windows else _image)(model, path, args, name)
    except ZooError as error:
        return {"path": str(path), "error": str(error)}, 0.0
    # Outside of the try: where one result cannot be written, neither can the others.
    return {"path": str(path), **write()}, time.perf_counter() - started


def _found(patterns: Sequence[str]) -> tuple[list[Path], list[dict]]:
    """Images of all patterns, each once, and a failure for every pattern that finds nothing."""
    from zoo.images import find_images

    paths, failed = [], []
    for pattern in patterns:
        try:
            paths += find_images([pattern])
        except InputError as error:
            failed.append({"path": pattern, "error": str(error)})
    return (find_images(paths) if paths else []), failed


def _is_by_windows(path: Path, args: argparse.Namespace) -> bool:
    """Whether it is a TIFF that is read and written by windows, see ``--help``."""
    from zoo.images.rasters import has_rasterio
    from zoo.images.tiff_tags import read_tags

    tags = read_tags(path) if path.is_file() else None
    if tags is None or (not tags.georeferenced and (args.tile is None or math.prod(tags.size) <= _LARGE)):
        return False
    if args.tile is not None and (has_rasterio() or math.prod(tags.size) > _LARGE):
        return True
    lacking = "--tile" if has_rasterio() else "--tile and pip install 'atrous-zoo[geo]'"
    notes.note(f"{path}: its place on the map is not kept in PNG files; it is with {lacking}")
    return False


def _names(paths: Sequence[Path], folder: Path, by_windows: Collection[Path]) -> list[str]:
    """A name in the output folder for each image: none twice, none whose files would replace an image."""
    taken = {str(path.resolve()).casefold() for path in paths}
    names = []
    for path in paths:
        number, name = 1, path.stem
        suffix = ".tif" if path in by_windows else ".png"
        while not taken.isdisjoint(_targets(folder, name, suffix)):
            number += 1
            name = f"{path.stem}-{number}"
        taken |= _targets(folder, name, suffix)
        names.append(name)
    return names


def _targets(folder: Path, name: str, suffix: str) -> set[str]:
    """Files of that name, spelled alike for file systems that do not tell upper from lower case."""
    folder = folder.resolve()
    return {str(folder / f"{name}_{kind}{suffix}").casefold() for kind in ("overlay", "mask")}


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


def _image(model, path: Path, args: argparse.Namespace, name: str) -> Callable[[], dict]:
    """Segment an image that is decoded as a whole; what writes its files."""
    from zoo.images import read_image
    from zoo.inference import segment

    pixels = read_image(path, **photo_reading_of(args))
    result = segment(model, pixels, scales=args.scales, flip=args.flip, tile=args.tile)
    return lambda: _write(result, args, name)


def _raster(model, path: Path, args: argparse.Namespace, name: str) -> Callable[[], dict]:
    """Segment a TIFF by windows, which writes its files; what tells of them."""
    from zoo.inference import segment_raster

    reading = photo_reading_of(args)
    del reading["max_pixels"]  # by windows there is no need of a limit
    result = segment_raster(
        model,
        path,
        args.output / f"{name}_mask.tif",
        overlay=args.output / f"{name}_overlay.tif",
        tile=args.tile,
        opacity=args.opacity,
        scales=args.scales,
        flip=args.flip,
        progress=_show_rows if sys.stderr.isatty() else None,
        **reading,
    )
    height, width = result.size
    return lambda: {
        "overlay": str(result.overlay),
        "mask": str(result.mask),
        "height": height,
        "width": width,
        "shares": dict(result.shares()),
    }


def _show_rows(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done}/{total} rows", end=end, file=sys.stderr, flush=True)


def _write(result, args: argparse.Namespace, name: str) -> dict:
    """Write overlay and mask; their paths, the size and the shares."""
    from zoo.images import write_png
    from zoo.images.rendering import palette_image

    overlay = result.overlay(opacity=args.opacity, legend=not args.no_legend, unsure=args.unsure)
    # Beyond 256 classes there is no palette: the indices themselves, in 16 bits.
    colored = len(result.labels) <= 256
    mask = palette_image(result.mask, result.labels) if colored else result.mask
    height, width = result.mask.shape
    return {
        "overlay": str(write_png(args.output / f"{name}_overlay.png", overlay)),
        "mask": str(write_png(args.output / f"{name}_mask.png", mask)),
        "height": height,
        "width": width,
        "shares": dict(result.shares()),
    }


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


def _document(model, args: argparse.Namespace, done: list[dict], failed: list[dict]) -> dict:
    source = opening.source_of(model) or {}
    return {
        "model": source.get("model", args.model),
        "weights": source.get("weights", args.weights),
        "labels": opening.labels_of(model).key,
        "scales": list(args.scales),
        "flip": args.flip,
        "tile": list(args.tile) if args.tile else None,
        "images": done,
        "failed": failed,
    }
