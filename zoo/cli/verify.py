"""``zoo verify``: whether an artifact still computes what its model computes."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import opening, options
from zoo.cli.export import add_model_options, read_images, tell
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
    options.add_model(parser, usual="the one that the artifact names")
    add_model_options(parser)
    opening.add_engine(parser)
    options.add_dataset(parser, required=False, split="val", use="to compare mean IoU")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare, print the numbers, and return 0 or 1."""
    data = options.open_dataset_if_named(args, split="val")
    opening.quiet_tensorflow()
    from zoo import export

    artifact = export.open_artifact(args.artifact, engine=args.engine)
    name, weights = opening.origin_of(artifact, model=args.model, weights=args.weights)
    images = read_images(args.images, size=artifact.input_size)
    tell(f"loading {name}")
    model = opening.load_model(name, weights, **opening.weights_of(args))
    tell(f"comparing {args.artifact} with {name} ({weights})")
    try:
        parity = export.verify(artifact, model, images=images)
    except ParityError as error:  # not even the shapes agree
        if options.prints_text(args):
            print(f"differs: {error}")
        options.write_json(args, {"passed": False, "error": str(error)})
        return 1
    # Another engine tells nothing of what it computes on its way.
    searched = not parity.passed and args.engine is None
    place = _place(args.artifact, model, images) if searched else None
    scores = None if data is None else _scores(artifact, model, data)
    if options.prints_text(args):
        same = "within its limits" if artifact.metadata.quantization else "equal"
        print(f"{same if parity.passed else 'differs'}: {parity}")
        if not parity.passed:
            print(place or "no layer of the file can be told from the others")
        if scores is not None:
            print(_score_line(scores))
    origin = {"artifact": str(args.artifact), "model": name, "weights": weights}
    found = {"first_difference": place and place.to_dict(), "evaluation": scores}
    options.write_json(args, {**origin, **parity.to_dict(), **found})
    return 0 if parity.passed else 1


def _place(path: Path, model, images):
    """Where the two part, or `None`; the verdict stands whatever goes wrong in the search."""
    from zoo import export

    try:
        return export.find_difference(path, model, images=images)
    except Exception as error:
        tell(f"the layer could not be found ({type(error).__name__}: {' '.join(str(error).split())[:200]})")
        return None


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
