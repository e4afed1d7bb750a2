"""``zoo lint``: which accelerator takes a file whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import options
from zoo.cli.quantization import native_output_hidden
from zoo.export.lint.tables import tables
from zoo.export.lint.verdicts import Verdict, lint

_DESCRIPTION = """\
Tell which operations of a file an accelerator leaves to the processor, why, and which option of
zoo export avoids it, by tables with public sources. Runtimes that stand on this machine are asked
themselves: XNNPACK for its partitions, ONNX Runtime for the providers of the nodes.
"""
_EPILOG = """\
examples:
  zoo lint m.tflite
  zoo lint m.onnx --for ort-webgpu --json -

exit status: 0 taken whole by all that were asked for, 1 something falls back, 2 an error
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``lint``."""
    parser = subparsers.add_parser(
        "lint",
        help="tell which accelerator takes a file whole",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("artifact", type=Path, metavar="FILE", help=".tflite or .onnx file, or .mlpackage folder")
    add(
        "--for",
        dest="accelerators",
        action="append",
        choices=[table.name for table in tables()],
        metavar="NAME",
        help=f"accelerator; repeatable (all for the format): {', '.join(t.name for t in tables())}",
    )
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the verdicts; 1 where something falls back."""
    with native_output_hidden():
        verdicts = lint(args.artifact, accelerators=args.accelerators)
        account = _asked(args.artifact)
    if options.prints_text(args):
        for verdict in verdicts:
            print("\n".join(_lines(verdict)))
        if account is not None:
            print(account)
    asked = None if account is None else vars(account)
    options.write_json(args, {"verdicts": [verdict.to_dict() for verdict in verdicts], "asked": asked})
    return 0 if all(verdict.whole for verdict in verdicts) else 1


def _asked(path: Path):
    """The `Account` of a runtime of this machine, or `None` for a file of another kind."""
    from zoo.export.lint import runtime

    if path.suffix == ".tflite":
        return runtime.xnnpack(path)
    return runtime.onnx_runtime(path) if path.suffix == ".onnx" else None


def _lines(verdict: Verdict) -> list[str]:
    count = verdict.operations
    notes = [f"  not certain: {line}" for line in verdict.unverified]
    if verdict.whole:
        return [f"{verdict.title}: takes all of {count} operations ({verdict.version})", *notes]
    left = sum(fallback.count for fallback in verdict.fallbacks)
    return [
        f"{verdict.title}: {left} of {count} operations fall back ({verdict.version})",
        *(f"  {line}" for line in verdict.lines()),
        *notes,
    ]
