"""``zoo verify``: whether an artifact still computes what its model computes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from zoo.cli.export import add_model_options, load_model, quiet_tensorflow, read_images, tell
from zoo.errors import InputError, ParityError


def add_parser(subparsers) -> None:
    """Add the parser of ``verify``."""
    parser = subparsers.add_parser(
        "verify",
        help="compare an exported artifact with its model",
        description="Run an artifact and its Keras model on the same images. Exit status 1 if they differ.",
        epilog="example:\n  zoo verify m.tflite --image street.jpg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT", help=".tflite, .onnx or SavedModel folder")
    parser.add_argument("--model", metavar="NAME", help="the model; by default the one named in the artifact")
    add_model_options(parser)
    parser.set_defaults(run=run)


def _origin(artifact, args: argparse.Namespace) -> tuple[str, str]:
    """Name and weights of the model to compare with: as asked for, else as the artifact says."""
    source = artifact.metadata.source or {}
    name = args.model or source.get("model")
    # The weights that the artifact names belong to the model that it names.
    own = source.get("weights") if args.model in (None, source.get("model")) else "default"
    weights = args.weights or own
    if name is None:
        raise InputError(f"{args.artifact} does not name its model: pass --model and --weights")
    if weights is None:
        raise InputError(f"{args.artifact} does not name the weights of {name}: pass --weights")
    return name, weights


def run(args: argparse.Namespace) -> int:
    """Compare, print the numbers, and return 0 or 1."""
    quiet_tensorflow()
    from zoo import export

    artifact = export.open_artifact(args.artifact)
    name, weights = _origin(artifact, args)
    images = read_images(args.image, size=artifact.input_size)
    tell(f"loading {name}")
    model = load_model(name, weights, allow_unverified=args.allow_unverified)
    tell(f"comparing {args.artifact} with {name} ({weights})")
    try:
        parity = export.verify(args.artifact, model, images=images)
    except ParityError as error:  # not even the shapes agree
        print(json.dumps({"passed": False, "error": str(error)}) if args.json else f"differs: {error}")
        return 1
    if args.json:
        print(
            json.dumps(
                {"artifact": str(args.artifact), "model": name, "weights": weights, **parity.to_dict()},
                indent=2,
            )
        )
    else:
        same = "within its limits" if artifact.metadata.quantization else "equal"
        print(f"{same if parity.passed else 'differs'}: {parity}")
    return 0 if parity.passed else 1
