"""``zoo verify``: whether an artifact still computes what its model computes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zoo.cli.export import add_model_options, load_model, quiet_tensorflow, read_images, tell
from zoo.errors import InputError, ParityError
from zoo.export import formats

_DESCRIPTION = """\
Run an artifact and its Keras model on the same images and compare: errors of the logits, arg-max
agreement over all pixels and near class borders. Where they differ, the first layer that does is
named (of a quantized file, the layer that rounding harms most), and the exit status is 1. With
--dataset, both are evaluated on true masks by the same protocol, too.
"""
_EPILOG = """\
examples:
  zoo verify m.tflite
  zoo verify m.tflite --images photos/ street.jpg
  zoo verify q.tflite --dataset camvid --data camvid/ --split val
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``verify``."""
    parser = subparsers.add_parser(
        "verify",
        help="compare an exported artifact with its model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("artifact", type=Path, metavar="ARTIFACT", help=formats.titles())
    add("--model", metavar="NAME", help="the model; by default the one named in the artifact")
    add_model_options(parser)
    add("--images", nargs="+", metavar="PATH", help="the same, and folders and globs of images")
    add("--dataset", metavar="KIND", help="layout of --data, such as camvid or folder: compare mean IoU")
    add("--data", metavar="DIR", type=Path, help="folder of the data set")
    add("--split", metavar="NAME", help="part of the data set (val)")
    add("--classes", metavar="FILE|N", help="kind folder: file with one name per line, or their number")
    parser.set_defaults(run=run)


def origin_of(artifact, *, model: str | None, weights: str | None) -> tuple[str, str]:
    """Name and weights of the model to compare with: as asked for, else as the artifact says.

    Raises:
        InputError: Neither says.
    """
    source = artifact.metadata.source or {}
    name = model or source.get("model")
    # The weights that the artifact names belong to the model that it names.
    own = source.get("weights") if model in (None, source.get("model")) else "default"
    weights = weights or own
    if name is None:
        raise InputError(f"{artifact.path} does not name its model: pass --model and --weights")
    if weights is None:
        raise InputError(f"{artifact.path} does not name the weights of {name}: pass --weights")
    return name, weights


def run(args: argparse.Namespace) -> int:
    """Compare, print the numbers, and return 0 or 1."""
    data = _dataset(args)
    quiet_tensorflow()
    from zoo import export

    artifact = export.open_artifact(args.artifact)
    name, weights = origin_of(artifact, model=args.model, weights=args.weights)
    images = read_images(_image_paths(args), size=artifact.input_size)
    tell(f"loading {name}")
    model = load_model(name, weights, allow_unverified=args.allow_unverified)
    tell(f"comparing {args.artifact} with {name} ({weights})")
    try:
        parity = export.verify(args.artifact, model, images=images)
    except ParityError as error:  # not even the shapes agree
        print(json.dumps({"passed": False, "error": str(error)}) if args.json else f"differs: {error}")
        return 1
    place = None if parity.passed else _place(args.artifact, model, images)
    scores = None if data is None else _scores(artifact, model, data)
    if args.json:
        origin = {"artifact": str(args.artifact), "model": name, "weights": weights}
        found = {"first_difference": place and place.to_dict(), "evaluation": scores}
        print(json.dumps({**origin, **parity.to_dict(), **found}, indent=2))
    else:
        same = "within its limits" if artifact.metadata.quantization else "equal"
        print(f"{same if parity.passed else 'differs'}: {parity}")
        if not parity.passed:
            print(place or "no layer of the file can be told from the others")
        if scores is not None:
            print(_score_line(scores))
    return 0 if parity.passed else 1


def _place(path: Path, model, images):
    """Where the two part, or `None`; the verdict stands whatever goes wrong in the search."""
    from zoo import export

    try:
        return export.find_difference(path, model, images=images)
    except Exception as error:
        tell(f"the layer could not be found ({type(error).__name__}: {' '.join(str(error).split())[:200]})")
        return None


def _image_paths(args: argparse.Namespace) -> list[Path]:
    """Files of ``--image`` and what ``--images`` finds."""
    from zoo.images import find_images

    return [*(args.image or []), *(find_images(args.images) if args.images else [])]


def _dataset(args: argparse.Namespace):
    """The data set to evaluate on, or `None`; opened before anything slow is loaded."""
    if args.dataset is None:
        given = [
            n for n, v in (("--data", args.data), ("--split", args.split), ("--classes", args.classes)) if v
        ]
        if given:
            raise InputError(f"{given[0]} is for a data set: name its layout with --dataset")
        return None
    if args.data is None:
        raise InputError("--dataset tells the layout of a data set: give its folder with --data")
    from zoo.datasets import open_dataset

    classes = int(args.classes) if args.classes and args.classes.isdecimal() else args.classes
    return open_dataset(args.dataset, args.data, split=args.split or "val", classes=classes)


def _scores(artifact, model, data) -> dict:
    """Mean IoU of the artifact and of the model, seen through the same windows."""
    from zoo.evaluation.scoring import evaluate

    tell(f"evaluating both on {len(data)} images")
    own, size = evaluate(artifact, data), artifact.input_size
    # An artifact of one size sees other images through windows, and then so must the model.
    windows = size and own.protocol.endswith(f"tile {size[0]}x{size[1]}")
    of_model = evaluate(model, data, tile=size if windows else None)
    if own.protocol != of_model.protocol:
        raise InputError(f"the protocols differ: {own.protocol} of the artifact, {of_model.protocol}")
    return {
        "protocol": own.protocol,
        "model_mean_iou": of_model.mean_iou,
        "artifact_mean_iou": own.mean_iou,
        "change": own.mean_iou - of_model.mean_iou,
    }


def _score_line(scores: dict) -> str:
    return (
        f"mean IoU on {scores['protocol']}: {scores['artifact_mean_iou']:.2%} of the artifact,"
        f" {scores['model_mean_iou']:.2%} of the model, change {100 * scores['change']:+.2f} points"
    )
