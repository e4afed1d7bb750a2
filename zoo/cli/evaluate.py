"""``zoo evaluate``: scores of a model or an artifact on a data set, with their protocol."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from zoo.cli import add_unverified_option, import_tensorflow
from zoo.cli.segment import open_model, parse_scales, parse_tile
from zoo.errors import InputError

_DESCRIPTION = """\
Compare what a model finds with true masks. Printed are the protocol, the intersection over union
(IoU) of every class, over all pixels and over those near a border, and the means. Pixels that the
data set ignores never count; a class that occurs nowhere has a dash. With --output the folder
receives

  evaluation.json          all scores, of every image too, and the confusion matrix
  confusion.png            the confusion matrix
  worst/<rank>_<name>.png  with --worst: image, truth, prediction and wrong pixels
"""
_EPILOG = """\
examples:
  zoo evaluate deeplabv3_aspp --dataset camvid --data camvid/ --split val
  zoo evaluate m.tflite --dataset camvid --data camvid/ --split val --worst 5 --output scores/
  zoo evaluate deeplabv3_aspp --weights best.keras --dataset folder --data mine/ --scales 0.75,1,1.25
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
    add("model", metavar="MODEL", help="name of a model, or a .tflite, .onnx or SavedModel of the zoo")
    add("--dataset", metavar="KIND", required=True, help="layout of the data, such as camvid or folder")
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data set")
    add("--split", metavar="NAME", default="val", help="part of the data set (val)")
    add("--classes", metavar="FILE|N", help="kind folder: file with one name a line, or their number")
    add("--masks", metavar="DIR", type=Path, help="kind folder: the masks, --data then holds the images")
    add("--weights", metavar="TAG|PATH", help="tag of a named model's weights, or a file")
    add_unverified_option(parser)
    add("--scales", type=parse_scales, default=(1.0,), metavar="S,S,…", help="average over these sizes (1)")
    add("--flip", action="store_true", help="average with the mirrored image")
    add("--tile", type=parse_tile, metavar="HxW", help="see a large image through windows of this size")
    add("--boundary", type=int, default=3, metavar="PIXELS", help="what counts as near a border (3)")
    add("--worst", type=int, default=0, metavar="N", help="draw the N images with the lowest mean IoU")
    add("--output", metavar="DIR", type=Path, help="folder for the scores and the pictures")
    add("--json", metavar="FILE", type=Path, help="write the scores to this file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write what was asked for."""
    if args.worst < 0 or (args.worst and args.output is None):
        raise InputError("--worst takes a number of images, and --output DIR to draw them into")
    if args.json is not None and not args.json.resolve().parent.is_dir():
        raise InputError(f"cannot write {args.json}: there is no folder {str(args.json.parent)!r}")
    from zoo.datasets import open_dataset

    classes = int(args.classes) if args.classes and args.classes.isdecimal() else args.classes
    dataset = open_dataset(args.dataset, args.data, split=args.split, classes=classes, masks=args.masks)
    if args.output is not None:
        _make_folder(args.output / "worst" if args.worst else args.output)
    import_tensorflow()
    from zoo.evaluation.report import table, to_dict
    from zoo.evaluation.scoring import evaluate
    from zoo.layers.resize import source_of

    model = open_model(args)
    evaluation = evaluate(
        model,
        dataset,
        scales=args.scales,
        flip=args.flip,
        tile=args.tile,
        boundary=args.boundary,
        keep_worst=args.worst,
        progress=_show_progress if sys.stderr.isatty() else None,
    )
    print(table(evaluation))
    source = source_of(model) or {"model": args.model, "weights": args.weights}
    document = {"evaluated": args.model, **source, **to_dict(evaluation)}
    text = json.dumps(document, indent=2) + "\n"
    if args.json is not None:
        args.json.write_text(text, encoding="utf-8")
    if args.output is not None:
        (args.output / "evaluation.json").write_text(text, encoding="utf-8")
        _draw(args, dataset, evaluation)
    return 0


def _draw(args: argparse.Namespace, dataset, evaluation) -> None:
    from zoo.evaluation.report import percent, plot_comparison, plot_confusion

    plot_confusion(evaluation, args.output / "confusion.png")
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
