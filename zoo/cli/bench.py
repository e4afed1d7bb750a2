"""``zoo bench``: how long exported files take, side by side, and how much memory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zoo.cli import opening, options
from zoo.errors import InputError
from zoo.export import formats

_DESCRIPTION = """\
Time files in turns on one image: in every round each of them runs once, and the ratios are taken
within a round. Each file has a process of its own with nothing but its runtime in it, whose peak
memory is told. With --engine, .tflite and .onnx files run in that as well. Times of operations are
ONNX Runtime's own for ONNX; for TFLite each operation is run by itself; TensorFlow tells none.
"""
_EPILOG = """\
examples:
  zoo bench m.tflite m.onnx
  zoo bench m.tflite q.tflite --vs keras --repeats 50 --output bench.png --json bench.json
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``bench``."""
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
    options.add_model(parser, usual="the one that the artifact names")
    options.add_weights(parser)
    options.add_threads(parser)
    opening.add_engine(parser)
    add("--repeats", type=int, default=20, metavar="N", help="rounds that count (20)")
    add("--warm-up", type=int, default=3, metavar="N", help="runs of each file before (3)")
    options.add_input_size(parser, usual="the files' own, or 513x513")
    add("--no-operations", action="store_true", help="do not time operations")
    add("--output", type=Path, metavar="FILE", help="*.png: draw bars with their spread")
    options.add_json(parser)
    options.add_replaced(parser, {"--size": "--input-size HxW"})
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Time, print the table, write what was asked for."""
    if args.output is not None:
        if args.output.suffix != ".png":
            raise InputError(f"--output takes a file named *.png, not {str(args.output)!r}")
        options.check_target(args.output)
    if args.vs is None and (args.model or args.weights):
        raise InputError("--model and --weights name the Keras model to time: add --vs keras")
    from zoo.export.timing.bench import bench
    from zoo.export.timing.report import plot, table

    for path in args.artifacts:
        formats.at(Path(path), part="runner")  # before a model is loaded
    result = bench(
        [*([_keras_model(args)] if args.vs else []), *args.artifacts],
        threads=args.threads,
        repeats=args.repeats,
        warm_up=args.warm_up,
        size=args.input_size,
        engine=args.engine,
        operations=not args.no_operations,
        progress=_show_progress if sys.stderr.isatty() else None,
    )
    if options.prints_text(args):
        print(table(result))
    options.write_json(args, result.to_dict())
    if args.output is not None:
        plot(result, args.output)
    return 0


def _keras_model(args: argparse.Namespace):
    from zoo.cli.export import tell
    from zoo.export import open_artifact

    if formats.at(Path(args.artifacts[0]), part="runner").artifact is None:
        raise InputError("--vs keras takes the model of an artifact; a .keras file is one: name it first")
    opening.quiet_tensorflow()
    artifact = open_artifact(args.artifacts[0])
    name, weights = opening.origin_of(artifact, model=args.model, weights=args.weights)
    tell(f"loading {name}")
    return opening.load_model(name, weights, **opening.weights_of(args))


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done}/{total} rounds", end=end, file=sys.stderr, flush=True)
