"""``zoo evaluate``: scores of a model or an artifact on a data set, with their protocol."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from zoo.cli import folds, import_tensorflow, notes, opening, options
from zoo.errors import InputError
from zoo.export import formats
from zoo.files import write_text
from zoo.sequence.table import refuse as refuse_sequences

_DESCRIPTION = """\
Compare what a model finds with true masks. Printed are the protocol, the intersection over union
(IoU) of every class, over all pixels and over those near a border, and the means. Pixels that the
data set ignores never count; a class that occurs nowhere has a dash. A data set with names of its
own takes --classes FILE as those of weights that have none, in the order of their channels. With
--output the folder receives

  evaluation.json          all scores, of every image too, and the confusion matrix
  confusion.png            the confusion matrix
  reliability.png          with --confidence: accuracy against confidence
  worst/<rank>_<name>.png  with --worst: image, truth, prediction and wrong pixels

With --folds each part of the data set, such as each drive, is scored by itself, and the mean over the
parts is printed. Where the path of --weights holds {fold}, each part is scored by the model that was
trained without it (`zoo train --folds`), and the scores on what that one was trained on stand beside.
"""
_EPILOG = """\
examples:
  zoo evaluate deeplabv3_aspp --dataset camvid --data camvid/ --split val
  zoo evaluate m.tflite --dataset camvid --data camvid/ --split val --worst 5 --output scores/
  zoo evaluate deeplabv3_aspp --weights best.keras --dataset folder --data mine/ --scales 0.75,1,1.25
  zoo evaluate deeplabv3_aspp --weights run/{fold}/final.keras --dataset camvid --data camvid/ \\
    --split train --folds drives
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``evaluate``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="scores of a model or an artifact on a data set",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help=f"name of a model or architecture, or a {formats.titles()}")
    options.add_dataset(parser, required=True, split="val")
    options.add_weights(parser)
    options.add_settings(parser)
    options.add_averaging(parser)
    opening.add_engine(parser)
    add("--boundary", type=int, default=3, metavar="PIXELS", help="what counts as near a border (3)")
    add("--confidence", action="store_true", help="compare how sure the model is with how often it is right")
    add("--worst", type=int, default=0, metavar="N", help="draw the N images with the lowest mean IoU")
    add("--output", metavar="DIR", type=Path, help="folder for the scores and the pictures")
    folds.add_folds(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write what was asked for."""
    refuse_sequences(args.model)
    if args.worst < 0 or (args.worst and args.output is None):
        raise InputError("--worst takes a number of images, and --output DIR to draw them into")
    if args.folds is not None and args.output is not None:
        raise InputError("--output is for a whole data set; the scores of --folds go to --json FILE")
    dataset, classes = _opened(args)
    if args.folds is not None:
        import_tensorflow()
        seen = {"scales": args.scales, "flip": args.flip, "tile": args.tile, "boundary": args.boundary}
        return folds.evaluate_folds(args, dataset, **seen, note=notes.note)
    if args.output is not None:
        _make_folder(args.output / "worst" if args.worst else args.output)
    import_tensorflow()
    from zoo.evaluation.report import table, to_dict
    from zoo.evaluation.scoring import evaluate

    wanted = {"weights": args.weights, "classes": classes, "engine": args.engine}
    model = opening.open_model(args.model, **wanted, **opening.weights_of(args))
    evaluation = evaluate(
        model,
        dataset,
        scales=args.scales,
        flip=args.flip,
        tile=args.tile,
        boundary=args.boundary,
        keep_worst=args.worst,
        calibration=args.confidence,
        progress=_show_progress if sys.stderr.isatty() else None,
        note=notes.note,
    )
    if options.prints_text(args):
        print(table(evaluation))
    source = opening.source_of(model) or {"model": args.model, "weights": args.weights}
    document = {"evaluated": args.model, **source, **to_dict(evaluation)}
    options.write_json(args, document)
    if args.output is not None:
        write_text(args.output / "evaluation.json", json.dumps(document, indent=2) + "\n")
        _draw(args, dataset, evaluation)
    return 0


def _opened(args: argparse.Namespace):
    """The data set, and the file that names the classes of the weights where the data names its own."""
    if args.dataset == "folder" or not isinstance(args.classes, str):
        return options.open_dataset(args), None
    return options.open_dataset(argparse.Namespace(**{**vars(args), "classes": None})), args.classes


def _draw(args: argparse.Namespace, dataset, evaluation) -> None:
    from zoo.evaluation.report import percent, plot_comparison, plot_confusion

    plot_confusion(evaluation, args.output / "confusion.png")
    if evaluation.reliability is not None:
        from zoo.evaluation.reliability_plot import plot_reliability

        plot_reliability(evaluation, args.output / "reliability.png")
    for rank, image in enumerate(evaluation.worst(args.worst), start=1):
        pixels, true = dataset.read(image.index)
        score = f"mean IoU {percent(image.mean_iou)} %, pixel accuracy {percent(image.pixel_accuracy)} %"
        plot_comparison(
            args.output / "worst" / f"{rank:02d}_{Path(image.name).stem}.png",
            image=pixels,
            true=true,
            found=image.mask,
            label_set=evaluation.label_set,
            title=f"{image.name}: {score}",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {folder}: {error.strerror}") from error


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done}/{total} images", end=end, file=sys.stderr, flush=True)
