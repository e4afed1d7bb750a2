"""``zoo segment``: overlays, masks and the share of each class."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zoo.cli import import_tensorflow, opening, options, values
from zoo.cli.reading import add_photo_reading, photo_reading_of
from zoo.errors import InputError, ZooError
from zoo.export import formats

_DESCRIPTION = """\
Segment images. For every image the output folder receives

  <name>_overlay.png  the image under the colours of its classes, with a legend
  <name>_mask.png     class indices as a palette image

and the share of each class is printed. Images of the same name from different folders are
numbered: street, street-2, and so on.
"""
_EPILOG = """\
exit status: 0 all images done; 1 some could not be read (they are named on stderr, the others
are done); 2 none done, or another error

examples:
  zoo segment deeplabv3_aspp street.jpg --output out/
  zoo segment deeplabv3_aspp photos/ --scales 0.75,1,1.25 --flip --json shares.json
  zoo segment deeplabv3_aspp "photos/**/*.jpg" --tile 512x512
  zoo segment m.tflite street.jpg --output out/
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
    add_photo_reading(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Segment every image that can be read; the exit status is as ``--help`` says."""
    paths, failed = _found(args.images)
    if not paths:
        raise InputError("; ".join(failure["error"] for failure in failed))
    for failure in failed:
        _complain(failure)

    import_tensorflow()
    from zoo.images import read_image
    from zoo.inference import segment

    wanted = {"weights": args.weights, "allow_unverified": args.allow_unverified, "classes": args.classes}
    model = opening.open_model(args.model, **wanted)
    names = _names(paths, args.output)
    _make_folder(args.output)
    done = []
    for number, (path, name) in enumerate(zip(paths, names, strict=True), start=1):
        started = time.perf_counter()
        try:
            pixels = read_image(path, **photo_reading_of(args))
            result = segment(model, pixels, scales=args.scales, flip=args.flip, tile=args.tile)
        except ZooError as error:
            failed.append({"path": str(path), "error": str(error)})
            _complain(failed[-1])
            continue
        # Outside of the try: where one result cannot be written, neither can the others.
        done.append({"path": str(path), **_write(result, args, name)})
        seconds = time.perf_counter() - started
        _tell(done[-1], f"[{number}/{len(paths)}]", seconds, text=options.prints_text(args))
    options.write_json(args, _document(model, args, done, failed))
    return 0 if not failed else 1 if done else 2


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


def _names(paths: Sequence[Path], folder: Path) -> list[str]:
    """A name in the output folder for each image: none twice, none whose files would replace an image."""
    taken = {str(path.resolve()).casefold() for path in paths}
    names = []
    for path in paths:
        number, name = 1, path.stem
        while not taken.isdisjoint(_targets(folder, name)):
            number += 1
            name = f"{path.stem}-{number}"
        taken |= _targets(folder, name)
        names.append(name)
    return names


def _targets(folder: Path, name: str) -> set[str]:
    """Files of that name, spelled alike for file systems that do not tell upper from lower case."""
    folder = folder.resolve()
    return {str(folder / f"{name}_{kind}.png").casefold() for kind in ("overlay", "mask")}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error


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
    from zoo.layers.resize import label_set_of, source_of

    source = source_of(model) or {}
    return {
        "model": source.get("model", args.model),
        "weights": source.get("weights", args.weights),
        "labels": label_set_of(model).key,
        "scales": list(args.scales),
        "flip": args.flip,
        "tile": list(args.tile) if args.tile else None,
        "images": done,
        "failed": failed,
    }
