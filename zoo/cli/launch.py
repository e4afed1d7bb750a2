"""``zoo launch``: a command as several workers on this machine."""

from __future__ import annotations

import argparse
import sys

from zoo.cli import notes

_DESCRIPTION = """\
Run a command as several workers on this machine, which find each other by TF_CONFIG; when one
dies, all are ended and started again, and a training goes on from its last checkpoint. The first
worker has the terminal. Workers that end with wrong input or by Ctrl-C are not started again.
On many machines Slurm or Kubernetes does this: docs/many_machines.md.
"""
_EPILOG = """\
exit status: that of the workers; 2 where they died once too often

example:
  zoo launch --workers 2 -- zoo train deeplabv3_aspp --dataset records --data records/ --output run/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``launch``."""
    parser = subparsers.add_parser(
        "launch",
        help="train with several workers on this machine, started again when one dies",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workers", type=int, required=True, metavar="N", help="processes")
    add("--restarts", type=int, default=10, metavar="N", help="how often all may be started again (10)")
    add("command", nargs="+", metavar="COMMAND", help="the command, after --")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run it to its end."""
    from zoo.training.launching import launch

    command = args.command
    if command[0] == "zoo":  # of this environment, whatever the search path finds first
        command = [sys.executable, "-m", "zoo", *command[1:]]
    return launch(command, workers=args.workers, restarts=args.restarts, note=notes.note).status
