"""``zoo train``: fine-tune a model on a data set, on one or many devices."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from zoo.cli import folds, import_tensorflow, notes, opening, options, plan, reading, recipe
from zoo.errors import InputError
from zoo.files import address_of
from zoo.remote import is_remote
from zoo.sequence.table import refuse as refuse_sequences

_DESCRIPTION = """\
Train a model on images and masks. The classifier is made anew for the classes of the data; the
other weights are where training starts. After each epoch the model is scored on the validation
part. The output folder receives best.keras (the model of the best score), final.keras, recipe.json,
run.json (what the run was begun with),
checkpoints, training.csv, validation.csv and events for TensorBoard. The same command again goes
on from the last checkpoint. Standard error has a progress bar, or, where it is no terminal, a line
after each validation. With --recipe run/recipe.json a network is trained as that run was; options
of the recipe that are given as well change it, and none takes back what a file sets, as in
--average none. With --folds drives one model is trained without each drive, into a folder of its
name, and scored on the drive, on what it was trained on, and on the validation part.
"""
_EPILOG = """\
examples:
  zoo train deeplabv3_aspp --dataset camvid --data camvid/ --output run/
  zoo train deeplabv3_aspp --dataset folder --data mine/ --classes names.txt --epochs 50 --output run/
  zoo train deeplabv3_aspp --dataset camvid --data camvid/ --recipe run/recipe.json --seed 1 --output second/
  zoo train deeplabv3_aspp --dataset camvid --data camvid/ --folds drives --output held-out/
  zoo train deeplabv3_aspp_resnet101 --plan a100 --classes 19 --crop 769x769 --batch-size 2
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
    recipe.add_data_options(parser, required=False)
    add("--output", metavar="DIR", type=Path, help="folder of the run, made if missing, or s3://…")
    plan.add_plan(parser)
    options.add_weights(parser, default="default")
    options.add_output_stride(parser)
    options.add_settings(parser)
    options.add_tile(parser)
    folds.add_folds(parser)
    reading.add_skip_damaged(parser)
    service = "read the records by a tf.data service, such as grpc://reader:5050; see zoo data-service"
    add("--data-service", metavar="ADDRESS", help=service)
    add("--examples", type=int, default=4, metavar="N", help="validation images drawn for TensorBoard (4)")
    recipe.add_options(parser)
    parser.allow_addresses("output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and tell where the model is."""
    refuse_sequences(args.model)
    if args.examples < 0:
        raise InputError(f"--examples must be 0 or more, not {args.examples}")
    args.split = args.split or "train"
    if args.plan is not None:
        return plan.run_plan(args, recipe.recipe_of(args))
    missing = [f"--{name}" for name in ("dataset", "data", "output") if getattr(args, name) is None]
    if missing or args.json is not None:
        what = f"the following arguments are required: {', '.join(missing)}"
        raise InputError(what if missing else "--json is for --plan; a run leaves its scores in --output")
    if args.folds is not None and is_remote(args.output):
        raise InputError("--folds writes several runs, which are read again: give --output a folder")
    chosen = recipe.recipe_of(args)
    training, validation = recipe.open_data(args, chosen)
    if args.folds is None:
        strategy = _strategy(args)
        return _tell(args.output, _train(args, chosen, training, validation, args.output, strategy), strategy)
    if args.skip_damaged:  # first: what stands in another's place may be of the part that is held out
        training, validation = reading.usable(training), validation and reading.usable(validation)
    parts = folds.folds_of(args, training)
    return _train_folds(args, chosen, parts, validation, _strategy(args))


def _strategy(args: argparse.Namespace):
    import_tensorflow()
    from zoo.training.strategy import make_strategy

    return make_strategy(args.strategy)


def _train(args: argparse.Namespace, chosen, training, validation, output: Path, strategy):
    """The history of one run."""
    from zoo.training.runs import settings_of, train
    from zoo.training.strategy import is_chief

    settings = settings_of(chosen, training)
    with strategy.scope():
        model = _model(args, training, chosen)
    with notes.warnings_as_notes() as note:
        return train(
            model,
            training,
            chosen,
            validation=validation,
            output=output,
            strategy=strategy,
            examples=args.examples,
            report=None if sys.stderr.isatty() else _Report(settings, epochs=chosen.epochs),
            tile=args.tile,
            skip_damaged=args.skip_damaged,
            data_service=args.data_service,
            note=note if is_chief(strategy) else lambda message: None,
        )


def _train_folds(args: argparse.Namespace, chosen, parts, validation, strategy) -> int:
    """One model without each part; then the scores side by side."""
    from zoo.evaluation.folds import FoldScores, table
    from zoo.evaluation.report import percent
    from zoo.evaluation.scoring import evaluate
    from zoo.models.loading import read_keras
    from zoo.training.runs import FINAL

    scores, beside = [], []
    for part in parts:
        print(f"without {part.name}:", file=sys.stderr, flush=True)
        folder = args.output / part.name
        # No validation on the way: the last weights are those that are scored.
        history = _train(args, chosen, part.training, None, folder, strategy)
        if _tell(folder, history, strategy):
            return 130
        model = read_keras(folder / FINAL)
        seen = {"tile": args.tile, "note": lambda message: None}
        found = [evaluate(model, data, **seen) for data in (part.held_out, part.training)]
        scores.append(FoldScores(part.name, *found))
        if validation is not None:
            beside.append(f"{part.name} {percent(evaluate(model, validation, **seen).mean_iou)}")
    print(table(scores))
    if beside:
        print(f"on {args.validation}, without {', '.join(beside)}")
    return 0


def _model(args: argparse.Namespace, training, chosen):
    """The model under a fresh classifier for the classes of the data."""
    import keras

    keras.utils.set_random_seed(chosen.seed)  # fresh variables; on every worker the same
    wishes = {**opening.weights_of(args), "classes": training.label_set}
    if chosen.auxiliary:
        wishes["auxiliary"] = True
    if args.output_stride is not None:
        wishes["output_stride"] = args.output_stride
    return opening.load_model(args.model, args.weights, **wishes)


class _Report:
    """A line on standard error at the end of each epoch, for logs."""

    def __init__(self, settings, *, epochs: int):
        self.settings, self.epochs = settings, epochs
        self.before: tuple[int, float] | None = None  # step and time of the last line

    def __call__(self, trained: dict[str, float], scored: dict[str, float]) -> None:
        step, steps = trained["step"], self.settings.steps
        parts = [
            f"epoch {step * self.epochs / steps:.4g}/{self.epochs} step {step}/{steps}",
            f"loss {trained['loss']:.4f}",
            f"rate {trained['learning_rate']:.2e}",
        ]
        if scored:
            parts.append(f"mIoU {100 * scored['miou']:.2f}")
        parts.append(f"{_duration(self._seconds_left(trained))} left")
        print(", ".join(parts), file=sys.stderr, flush=True)

    def _seconds_left(self, trained: dict[str, float]) -> float:
        """By the time since the last line; the first line knows only the time of training itself."""
        step, now = trained["step"], time.monotonic()
        seconds = self.settings.accumulate / trained["batches_per_second"]
        if self.before is not None:
            seconds = (now - self.before[1]) / (step - self.before[0])
        self.before = step, now
        return seconds * (self.settings.steps - step)


def _duration(seconds: float) -> str:
    """``H:MM:SS``."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _tell(output: Path, history, strategy) -> int:
    """One line on how it ended, by the chief of several workers; 130 where Ctrl-C ended it."""
    from zoo.training.strategy import is_chief

    status = 130 if history.stopped == "interrupted" else 0
    if not is_chief(strategy):
        return status
    print(f"{history.stopped} at step {history.step}", end="")
    if history.best_step:
        folder = address_of(output) or str(output)
        best = f"{folder.rstrip('/')}/best.keras"
        print(f"; best mIoU {100 * history.best_score:.2f} at step {history.best_step}: {best}", end="")
    print()
    if status:
        print("the same command goes on from here", file=sys.stderr)
    return status
