"""``zoo bench``: how long exported files take, side by side, and how much memory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zoo.cli.options import parse_size as parse_tile
from zoo.errors import InputError
from zoo.export import formats

_DESCRIPTION = """\
Time files in turns on one image: in every round each of them runs once, and the ratios are taken
within a round. Each file has a process of its own with nothing but its runtime in it, whose peak
memory is told. Times of operations are ONNX Runtime's own for ONNX; for TFLite each operation is
run by itself; TensorFlow tells none.
"""
_EPILOG = """\
examples:
  zoo bench m.tflite m.onnx
  zoo bench m.tflite q.tflite --vs keras --repeats 50 --output bench.png --json bench.json
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``bench``."""
    from zoo.cli import add_unverified_option

    parser = subparsers.add_parser(
        "bench",
        help="time exported files side by side",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("artifacts", nargs="+", metavar="ARTIFACT", help=formats.titles("runner"))
    add("--vs", choices=["keras"], help="first time the Keras model that the first artifact came from")
    add("--model", metavar="NAME", help="that model; by default the one named in the artifact")
    add("--weights", metavar="TAG", help="its weights: a tag, a file, or none for random ones")
    add_unverified_option(parser)
    add("--threads", type=int, default=2, metavar="N", help="of each runtime (2)")
    add("--repeats", type=int, default=20, metavar="N", help="rounds that count (20)")
    add("--warm-up", type=int, default=3, metavar="N", help="runs of each file before (3)")
    add("--size", type=parse_tile, metavar="HxW", help="of the image; by default the files' own, or 513x513")
    add("--no-operations", action="store_true", help="do not time operations")
    add("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    add("--output", type=Path, metavar="PNG", help="draw bars with their spread")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Time, print the table, write what was asked for."""
    for path in (args.json, args.output):
        _check_target(path)
    if args.output is not None and args.output.suffix != ".png":
        raise InputError(f"--output takes a file named *.png, not {str(args.output)!r}")
    if args.vs is None and (args.model or args.weights):
        raise InputError("--model and --weights name the Keras model to time: add --vs keras")
    from zoo.export.timing.bench import bench
    from zoo.export.timing.report import plot, table, write_json

    for path in args.artifacts:
        formats.at(Path(path), part="runner")  # before a model is loaded
    result = bench(
        [*([_keras_model(args)] if args.vs else []), *args.artifacts],
        threads=args.threads,
        repeats=args.repeats,
        warm_up=args.warm_up,
        size=args.size,
        operations=not args.no_operations,
        progress=_show_progress if sys.stderr.isatty() else None,
    )
    print(table(result))
    if args.json is not None:
        write_json(result, args.json)
    if args.output is not None:
        plot(result, args.output)
    return 0


def _check_target(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise InputError(f"cannot write {path}: {'it is a folder' if path.is_dir() else 'no such folder'}")


def _keras_model(args: argparse.Namespace):
    from zoo.cli.export import load_model, quiet_tensorflow, tell
    from zoo.cli.verify import origin_of
    from zoo.export import open_artifact

    if formats.at(Path(args.artifacts[0]), part="runner").artifact is None:
        raise InputError("--vs keras takes the model of an artifact; a .keras file is one: name it first")
    quiet_tensorflow()
    artifact = open_artifact(args.artifacts[0])
    name, weights = origin_of(artifact, model=args.model, weights=args.weights)
    tell(f"loading {name}")
    return load_model(name, weights, allow_unverified=args.allow_unverified)


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done}/{total} rounds", end=end, file=sys.stderr, flush=True)
