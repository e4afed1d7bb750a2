"""``zoo weights unfold`` and ``calibrate``: a model with other weights that computes the same masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import folds, import_tensorflow, options
from zoo.errors import InputError


def add_parsers(actions: argparse._SubParsersAction) -> None:
    """Add both actions to ``zoo weights``."""
    _add_unfold(actions)
    _add_calibrate(actions)


def _add_unfold(actions: argparse._SubParsersAction) -> None:
    action = actions.add_parser(
        "unfold",
        help="put batch norm back into a model whose publisher folded it, to train it",
        description="Write a model with batch norm in place of what was folded into its convolutions; its "
        "statistics are those of images of the data that it will be trained on.",
        epilog="example:\n  zoo weights unfold deeplabv3_aspp_mobilenet_v2 start.keras --weights voc2012 "
        "--dataset camvid --data camvid/",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("model", metavar="MODEL", help="name of a model")
    action.add_argument("target", type=Path, metavar="FILE.keras", help="file to write")
    options.add_weights(action, default="default")
    options.add_dataset(action, required=True, split="train")
    number = "of the data set, evenly spaced (32)"
    action.add_argument("--count", type=int, default=32, metavar="N", help=f"images {number}")
    action.set_defaults(run=_unfold)


def _unfold(args: argparse.Namespace) -> int:
    if args.target.suffix != ".keras":
        raise InputError(f"the file to write ends with .keras, not {args.target.name!r}")
    if args.count < 1:
        raise InputError(f"--count must be 1 or more, not {args.count}")
    options.check_target(args.target)
    dataset = options.open_dataset(args)
    import_tensorflow()
    from zoo.cli import opening
    from zoo.models.unfolding import unfold
    from zoo.training.checkpoints import write_model

    model = opening.load_model(args.model, args.weights, allow_unverified=args.allow_unverified)
    count = min(args.count, len(dataset))
    images = [dataset.read(place * len(dataset) // count)[0] for place in range(count)]
    write_model(unfold(model, images), args.target)
    print(f"{args.target}: batch norm by {count} images of {dataset.split}")
    return 0


def _add_calibrate(actions: argparse._SubParsersAction) -> None:
    action = actions.add_parser(
        "calibrate",
        help="make a trained model as sure as it is right",
        description="Divide the logits of a trained model by one temperature, fitted on data that was not "
        "trained on: the masks stay, the confidence changes. With --folds and {fold} in --held-out the data "
        "are the parts, each seen by the model that was trained without it.",
        epilog="example:\n  zoo weights calibrate run/final.keras sure.keras --dataset camvid --data camvid/ "
        "--split train --folds drives --held-out 'held-out/{fold}/final.keras'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("source", type=Path, metavar="MODEL.keras", help="as zoo train writes it")
    action.add_argument("target", type=Path, metavar="FILE.keras", help="file to write")
    options.add_dataset(action, required=True, split="val")
    folds.add_folds(action)
    action.add_argument("--held-out", metavar="PATH", help="models of the folds, with {fold} in their path")
    action.set_defaults(run=_calibrate)


def _calibrate(args: argparse.Namespace) -> int:
    if args.target.suffix != ".keras":
        raise InputError(f"the file to write ends with .keras, not {args.target.name!r}")
    if (args.folds is None) != (args.held_out is None):
        raise InputError("--folds and --held-out belong together")
    if args.held_out is not None and folds.PLACE not in args.held_out:
        raise InputError(f"--held-out is a path with {folds.PLACE} in it, not {args.held_out!r}")
    options.check_target(args.target)
    dataset = options.open_dataset(args)
    parts = None if args.folds is None else folds.folds_of(args, dataset)
    import_tensorflow()
    from zoo.evaluation.temperature import fitted_temperature, with_temperature
    from zoo.training.checkpoints import write_model

    model = _read(args.source)
    if parts is None:
        seen = [(model, dataset)]
    else:
        paths = [Path(args.held_out.replace(folds.PLACE, part.name)) for part in parts]
        seen = [(_read(path), part.held_out) for path, part in zip(paths, parts, strict=True)]
    temperature = fitted_temperature(seen)
    write_model(with_temperature(model, temperature), args.target)
    print(f"{args.target}: temperature {temperature:.3f}")
    return 0


def _read(path: Path):
    from zoo.models.loading import read_keras

    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return read_keras(path)
