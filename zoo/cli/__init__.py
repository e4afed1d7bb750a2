"""The command line ``zoo``. Each sub-command is a module here and imports what it needs when it runs."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from zoo._backend import check_backend
from zoo._version import __version__
from zoo.cli.parser import CommandsFormatter, Parser
from zoo.errors import ZooError

COMMANDS = (
    "models",
    "segment",
    "export",
    "verify",
    "bench",
    "demo",
    "lint",
    "dilation",
    "weights",
    "dataset",
    "train",
    "launch",
    "data_service",
    "evaluate",
    "ablate",
    "compress",
    "process",
    "transcribe",
    "generate",
    "push",
    "completion",
)
# Commands are named as their modules, except for those of `models`.
_MODULE_OF = {name.replace("_", "-"): name for name in COMMANDS[1:]} | {"list": "models", "info": "models"}

_EPILOG = """\
examples:
  zoo list
  zoo segment deeplabv3_aspp street.jpg --output out/
  zoo COMMAND --help

exit status: 0 done, 1 done in part or a check failed, 2 an error, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        Exit status: 0 done, 1 done in part or a check failed, 2 an error that is told in one line on stderr,
        130 interrupted.

    Raises:
        SystemExit: By argparse, with status 2 for arguments it cannot parse, 0 after ``--help``.
    """
    try:
        argv = sys.argv[1:] if argv is None else list(argv)
        parser = build_parser(argv)
        args = parser.parse_args(argv)
        if args.run is None:
            parser.print_help()
            return 2
        # TensorFlow reads it when it is imported, which is up to the command.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        status = args.run(args)
        sys.stdout.flush()  # while a closed pipe can still be handled
        return status
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        _abandon_stdout()
        return 0
    except ZooError as error:
        return _fail(error, 2)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _fail(f"{named}{error.strerror or error}", 2)


def import_tensorflow() -> None:
    """Import TensorFlow without its notes about missing GPUs; a failure still raises as usual.

    They are written by its C++ libraries before any setting of the log level is heeded, so the standard
    error of the process leads nowhere meanwhile.
    """
    check_backend()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # there may be no standard error at all
            sys.stderr.flush()
            saved = os.dup(2)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, 2)
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        importlib.import_module("tensorflow")


def _needed(argv: Sequence[str]) -> tuple[str, ...]:
    """Modules to import: the one of the command, since others take time, or all for help and errors."""
    name = _MODULE_OF.get(argv[0]) if argv else None
    return (name,) if name else COMMANDS


def build_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for a command line; it holds the commands that `argv` may need."""
    parser = Parser(
        prog="zoo",
        description="Semantic segmentation with dilated convolutions for Keras and TensorFlow.",
        epilog=_EPILOG,
        formatter_class=CommandsFormatter,
    )
    parser.add_argument("--version", action="version", version=f"zoo {__version__}")
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in _needed(argv):
        importlib.import_module(f"zoo.cli.{name}").add_parser(subparsers)
    return parser


def _fail(message: object, status: int) -> int:
    print(f"zoo: error: {' '.join(str(message).split())}", file=sys.stderr)
    return status


def _abandon_stdout() -> None:
    """Whoever read stdout has gone (``zoo list | head``): let Python's flush at exit write nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
