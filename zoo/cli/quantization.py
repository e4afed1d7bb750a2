"""Options of ``zoo export`` that quantize a file."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.cli import options
from zoo.errors import InputError
from zoo.export import formats
from zoo.export.core.kinds import KINDS

LIMIT = 100


def add_quantization_options(parser: argparse.ArgumentParser) -> None:
    """Options for the formats that have quantized files."""
    kinds = formats.quantizations()
    has = "; ".join(f"{row.name}: {', '.join(row.quantizations)}" for row in formats.rows("quantizations"))
    group = parser.add_argument_group(f"quantization ({has})")
    add = group.add_argument
    add(
        "--quantize",
        choices=kinds,
        metavar="KIND",
        help=formats.either(f"{kind} ({KINDS[kind].help})" for kind in kinds),
    )
    add(
        "--calibration",
        nargs="+",
        metavar="PATH",
        help="images, folders or globs to calibrate on (int8, int16x8)",
    )
    options.add_kind(group, use="of --calibration where it has masks")
    add("--split", metavar="NAME", help="part of the data set (train)")
    add(
        "--calibration-limit",
        type=int,
        default=LIMIT,
        metavar="N",
        help=f"use so many of the images at most, evenly chosen ({LIMIT})",
    )
    add(
        "--max-drop",
        type=float,
        metavar="SHARE",
        help="leave int8 layers in float until agreement with the float model (mean IoU with --dataset) falls"
        " by no more than this",
    )


def quantization_settings(args: argparse.Namespace) -> dict:
    """Arguments for `zoo.export.to_format`; finds the images, but reads none.

    Raises:
        InputError: Options that do not go together, or images that are not there.
    """
    given = {
        "--quantize": args.quantize,
        "--calibration": args.calibration,
        "--dataset": args.dataset,
        "--split": args.split,
        "--max-drop": args.max_drop,
    }
    given = [name for name, value in given.items() if value is not None]
    having = formats.names("quantizations")
    if given and args.format not in having:
        raise InputError(f"{given[0]} is for --format {formats.either(having)}, not {args.format}")
    if args.split is not None and args.dataset is None:
        raise InputError("--split is a part of a data set: name its --dataset")
    if args.dataset is not None and args.calibration is None:
        raise InputError("--dataset tells the layout of --calibration: give its folder")
    if args.calibration_limit < 1:
        raise InputError(f"--calibration-limit takes a positive number, not {args.calibration_limit}")
    if not given:
        return {}
    settings = {"quantize": args.quantize, "max_drop": args.max_drop}
    return {**settings, "calibration": _calibration(args) if args.calibration else None}


def _calibration(args: argparse.Namespace):
    """A data set, or the paths of images."""
    if args.dataset is None:
        from zoo.images import find_images

        return _chosen(find_images(args.calibration), args.calibration_limit)
    from zoo.datasets import open_dataset
    from zoo.datasets.folder import CLASS_FILE

    if len(args.calibration) != 1:
        raise InputError("with --dataset, --calibration takes one folder")
    folder = Path(args.calibration[0])
    # Its masks serve for the agreement under --max-drop, with the classes in the folder.
    if args.dataset == "folder" and folder.is_dir() and not (folder / CLASS_FILE).is_file():
        raise InputError(
            f"{folder}: the classes are not known; write their names into {CLASS_FILE} there, or leave out "
            "--dataset to calibrate with images alone"
        )
    data = open_dataset(args.dataset, folder, split=args.split or "train")
    pairs = tuple(_chosen(data.pairs, args.calibration_limit))
    return dataclasses.replace(data, pairs=pairs, counted=None)


def _chosen(items: Sequence, limit: int) -> list:
    """At most `limit` items, evenly spread over all."""
    count = min(limit, len(items))
    return [items[index * len(items) // count] for index in range(count)]


@contextlib.contextmanager
def native_output_hidden() -> Iterator[None]:
    """Without what libraries print past Python, such as the quantizer its settings at each conversion.

    For a process that is a command; `sys.stderr` still reaches the terminal.
    """
    sys.stderr.flush()
    shown, python = os.dup(2), sys.stderr
    try:
        with open(os.devnull, "w") as nowhere, os.fdopen(os.dup(shown), "w") as stream:
            os.dup2(nowhere.fileno(), 2)
            # A test's or a caller's own stream is no file and needs no other.
            sys.stderr = stream if python is sys.__stderr__ else python
            yield
    finally:
        sys.stderr = python
        os.dup2(shown, 2)
        os.close(shown)
