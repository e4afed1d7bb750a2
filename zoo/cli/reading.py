"""Options that say how files are read where they can be read in more than one way."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from zoo.cli import notes

_TITLE = "files that can be read in more than one way"


def add_reading(parser: argparse.ArgumentParser) -> None:
    """``--map``, ``--colors``, ``--binary``, ``--arrangement`` and the options of `add_photo_reading`."""
    add = parser.add_argument_group(_TITLE).add_argument
    add(
        "--map",
        action="append",
        default=[],
        type=parse_mapping,
        metavar="VALUE=CLASS",
        help="a value of the masks and its class, by number or name, or ignore; repeatable, as in 255=1",
    )
    add_colors(add, use="kind folder")
    add("--binary", action="store_true", help="black and white masks: 0 and 255 are two classes")
    add("--arrangement", metavar="NAME", help="kind folder: how it is arranged, where two layouts fit")
    _add_photo_options(add)


def add_colors(add: Callable, *, use: str) -> None:
    """``--colors FILE``; `use` says where it holds."""
    text = f"table of the colours that masks have: labelmap.txt, CSV or JSON ({use})"
    add("--colors", metavar="FILE", type=Path, help=text)


def add_photo_reading(parser: argparse.ArgumentParser) -> None:
    """``--exif``, ``--alpha``, ``--bits`` and ``--max-pixels``; see `photo_reading_of`."""
    _add_photo_options(parser.add_argument_group(_TITLE).add_argument)


def _add_photo_options(add: Callable) -> None:
    add("--exif", choices=("apply", "raw"), help="turn images by their EXIF orientation, or not")
    add("--alpha", choices=("white", "ignore"), help="fourth band: transparency onto white, or left out")
    add("--bits", type=int, metavar="N", help="depth of images in files of 16 bits, such as 12")
    add("--max-pixels", type=int, metavar="N", help="decode images of up to N pixels (179 million)")


def reading_of(args: argparse.Namespace) -> dict[str, object]:
    """Options of `zoo.datasets.open_dataset` and `zoo.datasets.check` from those of `add_reading`."""
    from zoo.datasets import Reading

    reading = Reading(exif=args.exif, alpha=args.alpha, bits=args.bits, max_pixels=args.max_pixels)
    said = {"mapping": dict(args.map), "binary": args.binary, "colors": args.colors}
    return {**said, "reading": reading, "arrangement": args.arrangement}


def photo_reading_of(args: argparse.Namespace) -> dict[str, object]:
    """Options of `zoo.images.read_image` from those of `add_photo_reading`."""
    return {
        "exif": args.exif or "apply",
        "alpha": args.alpha,
        "bits": args.bits,
        "max_pixels": args.max_pixels,
    }


def parse_mapping(text: str) -> tuple[int, int | str]:
    """``VALUE=CLASS``: a value of a mask, and a class by number or name, or ``ignore``."""
    value, equals, target = text.partition("=")
    if not equals or not value.strip().isdecimal() or not target.strip():
        raise argparse.ArgumentTypeError(f"must be VALUE=CLASS, such as 255=1, not {text!r}")
    target = target.strip()
    return int(value), int(target) if target.isdecimal() else target


def add_skip_damaged(parser: argparse._ActionsContainer) -> None:
    """``--skip-damaged``, of commands that train."""
    parser.add_argument(
        "--skip-damaged",
        action="store_true",
        help="decode every file first, leave out the samples that cannot be used, and list them",
    )


def usable(dataset):
    """The data set without the samples that cannot be used, each told in a line, after all were decoded.

    Raises:
        InputError: None can be used.
    """
    from zoo.datasets.examination import without_damaged

    return without_damaged(dataset, note=notes.note, in_place=False)
