"""``zoo dataset pack``: any data set as shards of TFRecord."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import notes, options
from zoo.cli.reading import add_reading, add_skip_damaged, reading_of
from zoo.errors import InputError

_DESCRIPTION = """\
Write a data set as shards of TFRecord with an index, as --dataset records reads them: images as
their original bytes, masks as PNG files of labels. What was done stays where the command is
interrupted; the same command goes on.
"""
_EPILOG = """\
exit status: 0 done, 1 --verify found something wrong, 2 an error

examples:
  zoo dataset pack camvid/ --output records/
  zoo dataset pack mine/ --classes names.txt --shards 64 --workers 8 --output records/ --verify
  zoo train deeplabv3_aspp --dataset records --data records/ --output run/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``dataset pack``."""
    parser = subparsers.add_parser(
        "pack",
        help="shards of TFRecord for training on many machines",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", metavar="DIR", type=Path, help="folder of the data set")
    options.add_kind(parser)
    add("--split", metavar="NAME", action="append", help="part of the data set (all); repeatable")
    options.add_classes(parser)
    options.add_masks(parser)
    add("--output", metavar="DIR", type=Path, required=True, help="folder of the shards, made if missing")
    add("--shards", type=int, metavar="N", help="files of a split (one for each 256 MB, at least 8)")
    add("--workers", type=int, default=1, metavar="N", help="processes (1)")
    add("--shuffle", type=int, metavar="SEED", help="pack in another order (that of the data set)")
    add_skip_damaged(parser)
    add("--verify", action="store_true", help="read all shards again, those of earlier calls too")
    add_reading(parser)
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pack each split; the exit status is as ``--help`` says."""
    from zoo.datasets.examination import without_damaged
    from zoo.datasets.readers import detect_kind, splits_of
    from zoo.datasets.records import pack, verify

    if args.dataset is None:
        args.dataset = "folder" if args.masks else detect_kind(args.data)
    known = splits_of(args.dataset, args.data, masks=args.masks, arrangement=args.arrangement)
    splits = args.split or [name for name in known if name != "all"] or list(known)
    opened = [_open(args, split) for split in dict.fromkeys(splits)]
    documents, wrong = [], []
    for dataset in opened:
        if args.skip_damaged:
            dataset = without_damaged(dataset, note=notes.note, in_place=False)
        done = pack(
            dataset,
            args.output,
            shards=args.shards,
            workers=args.workers,
            shuffle=args.shuffle,
            progress=notes.progress_of_samples,
        )
        found = verify(args.output, dataset.split) if args.verify else ()
        wrong += [f"{problem.path}: {problem.message}" for problem in found]
        documents.append({**done.to_dict(), "problems": [f"{p.path}: {p.message}" for p in found]})
        if options.prints_text(args):
            _print(done, verified=args.verify and not found)
    options.write_json(args, documents)
    for line in wrong:
        notes.note(line)
    return 1 if wrong else 0


def _open(args: argparse.Namespace, split: str):
    from zoo import datasets

    if args.dataset == "records":
        raise InputError(f"{args.data}: holds records already")
    own = {"classes": args.classes, "masks": args.masks, **reading_of(args)}
    return datasets.open_dataset(args.dataset, args.data, split=split, **own)


def _print(done, *, verified: bool) -> None:
    index = done.index
    size = sum(shard.size for shard in index.shards)
    earlier = len(index.shards) - done.written
    there = f", {earlier} of them from an earlier call" if earlier else ""
    checked = ", verified" if verified else ""
    held = f"{done.samples} samples in {len(index.shards)} shards{there}"
    print(f"{index.split}: {held}, {size:,} bytes{checked}")
