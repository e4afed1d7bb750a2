"""``zoo dataset``: what is wrong with a data set, and how much there is of each class."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import convert, options, pack
from zoo.cli.notes import progress_of_samples
from zoo.cli.reading import add_reading, reading_of

_SHOWN = 8  # images that are named in one line
_DESCRIPTION = """\
Read every image and mask of a data set and name the files that are wrong: missing partners,
files that cannot be read, sizes that differ, values that are no class, Cityscapes ids where
trainIds are meant. Prints the share of each class and a weight for the loss, 1/log(1.10 + share).
"""
_EPILOG = """\
kinds (told from the folders unless --dataset says it):
  camvid           train.txt, train/, trainannot/ and so on, as in the SegNet tutorial
  camvid_original  images and labels *_L.png in 32 colours; train.txt and so on if there are any
  voc2012          VOCdevkit; with SegmentationClassAug/ also the split train_aug
  cityscapes       leftImg8bit/ and gtFine/
  folder           images/ and masks/, paired by name, or images/train/ and masks/train/, train/images/
                   and train/masks/, a.jpg beside a_mask.png, …; classes.txt with one name per line
  records          what zoo dataset pack wrote, a folder or a pattern such as DIR/train-*.tfrecord

exit status: 0 nothing is wrong, 1 problems were found, 2 the data set cannot be checked

examples:
  zoo dataset check DIR
  zoo dataset check DIR --dataset folder --classes names.txt
  zoo dataset check DIR --classes 3 --json -
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``dataset``."""
    parser = subparsers.add_parser(
        "dataset",
        help="check images and masks before training, convert labels of tools, pack shards",
        description="Look at data sets.",
        epilog="example:\n  zoo dataset check DIR",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    convert.add_parser(commands)
    pack.add_parser(commands)
    check = commands.add_parser(
        "check",
        help="name the files that are wrong, and the share of each class",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = check.add_argument
    add("data", metavar="DIR", type=Path, help="folder of the data set")
    options.add_kind(check)
    add("--split", metavar="NAME", action="append", help="part of the data set; repeatable")
    options.add_classes(check)
    options.add_masks(check)
    add_reading(check)
    options.add_json(check)
    options.add_replaced(check, {"--kind": "--dataset KIND"})
    check.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the data set; the exit status is as ``--help`` says."""
    from zoo.datasets import check

    report = check(
        args.data,
        kind=args.dataset,
        splits=args.split,
        classes=args.classes,
        masks=args.masks,
        progress=progress_of_samples,
        **reading_of(args),
    )
    options.write_json(args, report.to_dict())
    if options.prints_text(args):
        _print(report)
    return 0 if report.ok else 1


def _print(report) -> None:
    names = report.label_set.names
    width = max(map(len, (*names, "ignored")))
    print(f"{report.folder}: {report.kind}, {len(names)} classes ({report.label_set.key})")
    for split in report.splits:
        print(f"\n{split.split}: {split.samples} samples, {_count(len(split.problems), 'problem')}")
        for problem in split.problems:
            print(f"  {problem.path}: {problem.message}")
        if split.turned:
            names_of = ", ".join(path.name for path in split.turned[:_SHOWN])
            more = len(split.turned) - _SHOWN
            rest = f" and {more} more" if more > 0 else ""
            print(f"  turned by their EXIF orientation: {names_of}{rest}")
        absent = split.absent(report.label_set)
        if absent:
            print(f"  without a single pixel: {', '.join(absent)}")
        print(f"  {'class':<{width}}    share   weight")
        for name, share, weight in zip(names, split.shares, split.weights, strict=True):
            print(f"  {name:<{width}}  {100 * share:5.2f} %  {weight:7.3f}")
        pixels = sum(split.pixels) + split.ignored
        ignored = 100 * split.ignored / pixels if pixels else 0.0
        print(f"  {'ignored':<{width}}  {ignored:5.2f} % of all pixels")


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
