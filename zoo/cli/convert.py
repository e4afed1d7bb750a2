"""``zoo dataset convert``: the labels of annotation tools as index masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import options
from zoo.cli.notes import progress_of_samples
from zoo.cli.reading import add_colors

_DESCRIPTION = """\
Write the labels of an annotation tool as index masks beside their pictures, as --dataset folder
reads them: images/, masks/, classes.txt, colors.csv, conversion.json, and train.txt and so on
where the source has parts. What is left out is counted and told.
"""
_RULES = """\
The rules for overlaps, holes, crowds and what no shape covers: docs/datasets.md.

exit status: 0 done, 1 pictures are missing from the result, 2 nothing was written

examples:
  zoo dataset convert labelme DIR --output mine/
  zoo dataset convert coco DIR --output mine/ --unlabelled ignore
  zoo dataset convert colors DIR --colors labelmap.txt --output mine/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``dataset convert``."""
    from zoo.datasets.convert.formats import CHOICES, FORMATS

    width = max(map(len, FORMATS))
    listed = "".join(f"  {name:<{width}}  {text}\n" for name, (_, text) in FORMATS.items())
    parser = subparsers.add_parser(
        "convert",
        help="labels of COCO, LabelMe, CVAT, YOLO and other tools as masks",
        description=_DESCRIPTION,
        epilog=f"formats:\n{listed}\n{_RULES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("format", metavar="FROM", help="format of the source, see below")
    add("data", metavar="DIR", type=Path, help="folder of the source")
    add("--output", metavar="DIR", type=Path, required=True, help="folder that is made")
    add("--pictures", metavar="DIR", type=Path, help="the pictures, where they are not in the folder itself")
    options.add_classes(parser, use="those meant, in this order, by a file")
    add("--ignore-case", action="store_true", help="labels that differ in upper case only are one class")
    _choice(add, CHOICES, "unlabelled", "pixels that nothing covers (as the format has it)")
    _choice(add, CHOICES, "crowd", "crowds of COCO, where nothing else lies (ignore)", default="ignore")
    _choice(add, CHOICES, "overlap", "which of two shapes has a pixel (last)", default="last")
    _choice(add, CHOICES, "empty", "pictures without a shape (background)", default="background")
    _choice(add, CHOICES, "boxes", "objects that have a box and no outline (refused)")
    _choice(add, CHOICES, "exif", "turn images by their EXIF orientation, or not")
    add_colors(add, use="formats colors, cvat, parquet")
    add(
        "--distance",
        metavar="N",
        type=float,
        help="largest distance of a colour from its class's (at most 32)",
    )
    options.add_json(parser)
    parser.set_defaults(run=run)


def _choice(add, choices, name: str, text: str, *, default: str | None = None) -> None:
    add(f"--{name}", choices=choices[name], default=default, help=text)


def run(args: argparse.Namespace) -> int:
    """Convert; the exit status is as ``--help`` says."""
    from zoo.datasets.convert import convert

    done = convert(
        args.format,
        args.data,
        args.output,
        pictures=args.pictures,
        classes=args.classes,
        ignore_case=args.ignore_case,
        unlabelled=args.unlabelled,
        crowd=args.crowd,
        overlap=args.overlap,
        empty=args.empty,
        boxes=args.boxes,
        exif=args.exif,
        colors=args.colors,
        distance=args.distance,
        progress=progress_of_samples,
    )
    options.write_json(args, done.to_dict())
    if options.prints_text(args):
        _print(done)
    return 1 if done.lost else 0


def _print(done) -> None:
    names = done.label_set.names
    parts = ", ".join(f"{split} {count}" for split, count in done.splits.items())
    print(f"{done.folder}: {done.samples} pictures{f' ({parts})' if parts else ''}, {len(names)} classes")
    width, total = max(map(len, (*names, "ignored"))), sum(done.pixels) + done.ignored
    for name, count in [*zip(names, done.pixels, strict=True), ("ignored", done.ignored)]:
        print(f"  {name:<{width}}  {100 * count / total:5.2f} %")
    for what, count in done.counts.items():
        example = done.examples.get(what)
        print(f"  {count} {what}{f', such as {example}' if example else ''}")
