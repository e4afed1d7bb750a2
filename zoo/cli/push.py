"""``zoo push``: a model to a repository of a hub, with a card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zoo.cli import import_tensorflow, opening, options
from zoo.errors import InputError

_DESCRIPTION = """\
Write a model to a repository of Hugging Face's hub (or of another server, HF_ENDPOINT), which is
made if it is not there: the whole model, and a card that says its classes, its scores with their
protocol, its licence, the digest of its file, and how to load it. zoo.load("hf://OWNER/NAME")
and the commands that take a MODEL read it. Log in with `hf auth login`, or set HF_TOKEN
(pip install 'atrous-zoo[hub]').
"""
_EPILOG = """\
examples:
  zoo push deeplabv3_plus hf://me/camvid --weights camvid --sample street.jpg
  zoo push deeplabv3_aspp hf://me/mine --weights run/best.keras --licence MIT --scores scores.json
  zoo segment hf://me/mine photos/ --output out/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``push``."""
    parser = subparsers.add_parser(
        "push",
        help="write a model to a hub, with a card",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="name of a model or architecture")
    add("address", metavar="hf://OWNER/NAME", help="with @BRANCH for another branch than the main one")
    options.add_weights(parser)
    options.add_classes(parser, use="of a weights file that has no names")
    add("--licence", metavar="NAME", help="of the weights (that of the catalog)")
    add("--scores", metavar="FILE", type=Path, help="of zoo evaluate --json (those of the catalog)")
    add("--sample", metavar="IMAGE", type=Path, help="whose overlay the card shows")
    add("--private", action="store_true", help="make a repository that is private")
    add("--message", metavar="TEXT", help="of the commit (name of the model)")
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Load and push; print the address with its commit."""
    from zoo.weights.hub import client, parse_address

    client()
    parse_address(args.address)
    import_tensorflow()
    from zoo.hub import push

    scores = [] if args.scores is None else [_score(args.scores)]
    model = opening.open_model(
        args.model, weights=args.weights, classes=args.classes, **opening.weights_of(args)
    )
    address = push(
        model,
        args.address,
        licence=args.licence,
        scores=scores,
        sample=args.sample,
        private=args.private,
        message=args.message,
    )
    options.write_json(args, {"address": address})
    if options.prints_text(args):
        print(address)
    return 0


def _score(path: Path):
    """The score in a document of ``zoo evaluate --json``."""
    from zoo.hub import Score

    try:
        found = json.loads(path.read_text("utf-8"))
        by_class = tuple(
            (str(name), 100 * float(value)) for name, value in found["iou"].items() if value is not None
        )
        return Score(
            metric="mIoU", value=100 * float(found["mean_iou"]), protocol=found["protocol"], classes=by_class
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path}: not what zoo evaluate --json writes") from None
