"""``zoo train``: fine-tune a model on a data set, on one or many devices."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zoo.cli import add_unverified_option, import_tensorflow, recipe

_DESCRIPTION = """\
Train a model on images and masks. The classifier is made anew for the classes of the data; the
other weights are where training starts. After each epoch the model is scored on the validation
part. The output folder receives best.keras (the model of the best score), final.keras,
checkpoints, training.csv, validation.csv and events for TensorBoard. The same command again goes
on from the last checkpoint.
"""
_EPILOG = """\
examples:
  zoo train deeplabv3_aspp --dataset camvid --data camvid/ --output run/
  zoo train deeplabv3_aspp --dataset folder --data mine/ --classes names.txt --epochs 50 --output run/
  zoo segment deeplabv3_aspp street.jpg --weights run/best.keras
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``train``."""
    parser = subparsers.add_parser(
        "train",
        help="fine-tune a model on images and masks",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="name of a model, or of an architecture")
    recipe.add_data_options(parser)
    add("--output", metavar="DIR", type=Path, required=True, help="folder of the run, made if missing")
    add("--weights", metavar="TAG|PATH", default="default", help="where to start; none for random weights")
    add_unverified_option(parser)
    add("--output-stride", type=int, metavar="8|16|32", help="instead of the weights' own")
    add(
        "--set",
        action="append",
        default=[],
        type=recipe.parse_setting,
        metavar="NAME=VALUE",
        help="argument of the model's builder, such as separable=true; repeatable",
    )
    recipe.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and tell where the model is."""
    training, validation = recipe.open_data(args)
    import_tensorflow()
    from zoo.training.checkpoints import write_model
    from zoo.training.engine import fit
    from zoo.training.strategy import is_chief, make_strategy

    strategy = make_strategy(args.strategy)
    settings = recipe.settings(args, training)
    with strategy.scope():
        model = _model(args, training)
        loss = recipe.loss(args, training, class_weights=recipe.class_weights(args))
    history = fit(
        model,
        lambda start: recipe.batches(args, training, start),
        loss=loss,
        settings=settings,
        strategy=strategy,
        validate=None if validation is None else lambda model: _score(model, validation),
        output=args.output,
    )
    if history.stopped != "interrupted" and is_chief(strategy):
        write_model(model, args.output / "final.keras")
    return _tell(args, history)


def _model(args: argparse.Namespace, training):
    """The model under a fresh classifier for the classes of the data."""
    from zoo.loading import load

    options = {"allow_unverified": args.allow_unverified, "classes": training.label_set}
    if args.set:
        options["settings"] = dict(args.set)
    if args.auxiliary:
        options["auxiliary"] = True
    if args.output_stride is not None:
        options["output_stride"] = args.output_stride
    return load(args.model, None if args.weights == "none" else args.weights, **options)


def _score(model, validation) -> dict[str, float]:
    from zoo.evaluation import evaluate

    evaluation = evaluate(model, validation)
    return {"miou": evaluation.mean_iou, "pixel_accuracy": evaluation.pixel_accuracy}


def _tell(args: argparse.Namespace, history) -> int:
    """One line on how it ended; 130 where Ctrl-C ended it."""
    print(f"{history.stopped} at step {history.step}", end="")
    if history.validation:
        best = args.output / "best.keras"
        print(f"; best mIoU {100 * history.best_score:.2f} at step {history.best_step}: {best}", end="")
    print()
    if history.stopped == "interrupted":
        print("the same command goes on from here", file=sys.stderr)
        return 130
    return 0
