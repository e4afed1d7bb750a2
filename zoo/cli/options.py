"""The vocabulary of the command line: one name, one form and one meaning per option, in every command.

=========================  ====================  =============================================================
option                     in Python             meaning
=========================  ====================  =============================================================
``MODEL``                  ``name``              a model or architecture of ``zoo list``
``ARTIFACT``               ``path``              a ``.tflite`` or ``.onnx`` file, or a SavedModel folder
``IMAGE …``                ``paths``             files, folders or globs of images, as objects of the command
``--images PATH …``        ``images``            the same as an option
``--model MODEL``          ``model``             the model of a command whose objects are others
``--weights TAG|PATH``     ``weights``           tag of the catalog, a file, or none for random weights;
                                                 in ``zoo weights`` a TAG that selects entries
``--allow-unverified``     ``allow_unverified``  accept weights whose digest was never published
``--set NAME=VALUE``       ``settings``          argument of the model's builder; repeatable
``--output-stride N``      ``output_stride``     8, 16 or 32
``--classes FILE|N``       ``classes``           file with one name per line, or the number of classes
``--input-size HxW``       ``input_size``        height and width of the model's input in pixels
``--tile HxW``             ``tile``              windows through which a large image is seen
``--crop HxW``             ``crop``              part of an image that training sees
``--shrink HxW``           ``size``              images larger than this are shrunk to fit
``--scales S,S,…``         ``scales``            sizes of the image to average over, 1 as it is
``--flip``                 ``flip``              average with the mirrored image
``--dataset KIND``         ``kind``              layout of a data set: camvid, voc2012, folder, …
``--data DIR``             ``root``              folder of the data set
``--split NAME``           ``split``             part of the data set; in ``zoo dataset check`` repeatable
``--masks DIR``            ``masks``             kind folder: folder of the masks
``--map VALUE=CLASS``      ``mapping``           class of a value of the masks; repeatable
``--binary``               ``binary``            black and white masks
``--exif apply|raw``       ``exif``              whether EXIF turns images
``--alpha white|ignore``   ``alpha``             what a fourth band is
``--bits N``               ``bits``              depth of grey images in files of 16 bits
``--threads N``            ``threads``           of each runtime
``--output DIR`` / FILE    ``path``              what is written: a folder made if missing, or a file
``--json FILE``            –                     all results as JSON; ``-`` is standard output
=========================  ====================  =============================================================

With ``--json FILE`` the text is printed as usual; with ``--json -`` the document takes its place.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from zoo.cli.reading import add_reading, reading_of
from zoo.errors import InputError
from zoo.files import check_local, write_text

JSON_FORM = "--json takes a file, - for standard output"


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line; so are those of its sub-commands."""

    def parse_known_args(self, args=None, namespace=None):
        """As usual; no value may be an address, such as ``gs://bucket/run``."""
        namespace, rest = super().parse_known_args(args, namespace)
        for value in vars(namespace).values():
            for one in value if isinstance(value, list | tuple) else [value]:
                if isinstance(one, str | Path):
                    check_local(one)
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with status 2."""
        if message.startswith("argument --json: expected"):
            message = JSON_FORM
        self.exit(2, f"zoo: error: {' '.join(message.split())} (see `{self.prog} --help`)\n")


class CommandsFormatter(argparse.RawDescriptionHelpFormatter):
    """Help in which the longest name of a command has its text beside it.

    Python measures these names without the indentation that it prints them with.
    """

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indentation in."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            longest = max(map(len, action.choices), default=0) + 2 * self._indent_increment
            self._action_max_length = max(self._action_max_length, longest)


class _Replaced(argparse.Action):
    """An option that has another name now."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        raise InputError(f"{option_string} is now {self.const}")


def add_replaced(parser: argparse.ArgumentParser, names: Mapping[str, str]) -> None:
    """Answer old spellings of options with a line that says the new ones.

    Args:
        parser: Of the command.
        names: New spelling by old one, such as ``{"--kind": "--dataset KIND"}``.
    """
    for old, new in names.items():
        # Any number of values, so that the line on the name comes before one on the values.
        parser.add_argument(
            old, dest=argparse.SUPPRESS, action=_Replaced, nargs="*", const=new, help=argparse.SUPPRESS
        )


class _JsonTarget(argparse.Action):
    """Where the document goes. Only ``*.json``: the flag of old, before an image, must not replace it."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if values != "-":
            path = Path(values)
            if path.suffix != ".json":
                raise InputError(f"{JSON_FORM}; the file is named *.json, not {values!r}")
            if path.is_dir():
                raise InputError(f"cannot write {path}: it is a folder")
            if not path.resolve().parent.is_dir():
                raise InputError(f"cannot write {path}: there is no folder {str(path.parent)!r}")
        setattr(namespace, self.dest, values)


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json FILE``: all results as JSON; see `write_json`."""
    parser.add_argument(
        "--json", action=_JsonTarget, metavar="FILE", help="write the results as JSON; - for standard output"
    )


def prints_text(args: argparse.Namespace) -> bool:
    """Whether standard output is for people: everywhere but under ``--json -``."""
    return args.json != "-"


def write_json(args: argparse.Namespace, document: object) -> None:
    """Write what ``--json`` asks for, if anything.

    Raises:
        InputError: A file that cannot be written.
    """
    if args.json is None:
        return
    text = json.dumps(document, indent=2) + "\n"
    if args.json == "-":
        sys.stdout.write(text)
    else:
        write_text(args.json, text)


def add_weights(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """``--weights`` and the consent that those without a published digest need."""
    parser.add_argument(
        "--weights", metavar="TAG|PATH", default=default, help="tag, a file, or none for random weights"
    )
    add_unverified(parser)


def add_unverified(parser: argparse.ArgumentParser) -> None:
    """``--allow-unverified``, alike in every command that loads weights."""
    parser.add_argument(
        "--allow-unverified",
        action="store_true",
        help="accept weights whose digest was never published; the one seen is recorded",
    )


def add_dataset(parser: argparse.ArgumentParser, *, required: bool, split: str | None) -> None:
    """``--dataset``, ``--data``, ``--split``, ``--classes`` and ``--masks``; see `open_dataset`.

    Args:
        parser: Of the command.
        required: Whether the command is nothing without a data set.
        split: Part of the data set by default.
    """
    add = parser.add_argument_group("data set").add_argument
    add("--dataset", metavar="KIND", required=required, help="layout of the data, such as camvid or folder")
    add("--data", metavar="DIR", type=Path, required=required, help="folder of the data set")
    usual = f" ({split})" if split else ""
    add("--split", metavar="NAME", default=split, help=f"part of the data set{usual}")
    add_classes(parser)
    add_masks(parser)
    add_reading(parser)


def add_classes(parser: argparse.ArgumentParser) -> None:
    """``--classes FILE|N``: an int, or the path of a file."""
    parser.add_argument(
        "--classes", metavar="FILE|N", type=parse_classes, help="file with one name per line, or their number"
    )


def add_masks(parser: argparse.ArgumentParser) -> None:
    """``--masks DIR``."""
    parser.add_argument(
        "--masks", metavar="DIR", type=Path, help="kind folder: the masks; its folder then holds the images"
    )


def open_dataset(args: argparse.Namespace):
    """The data set that the options of `add_dataset` name.

    Raises:
        InputError: No such data set, or options that do not fit its kind.
    """
    from zoo import datasets

    return datasets.open_dataset(
        args.dataset,
        args.data,
        split=args.split,
        classes=args.classes,
        masks=args.masks,
        **reading_of(args),
    )


def add_averaging(parser: argparse.ArgumentParser) -> None:
    """``--scales``, ``--flip`` and ``--tile``: how often and through what a model sees an image."""
    add = parser.add_argument
    add("--scales", type=parse_scales, default=(1.0,), metavar="S,S,…", help="average over these sizes (1)")
    add("--flip", action="store_true", help="average with the mirrored image")
    add("--tile", type=parse_size, metavar="HxW", help="see a large image through windows of this size")


def add_input_size(parser: argparse.ArgumentParser, *, help: str) -> None:
    """``--input-size HxW``; `help` says what is where it is left out."""
    parser.add_argument("--input-size", type=parse_size, metavar="HxW", help=help)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """``--set NAME=VALUE``, a list of pairs."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=parse_setting,
        metavar="NAME=VALUE",
        help="argument of the model's builder, such as separable=true; repeatable",
    )


def parse_classes(text: str) -> int | str:
    """A number of classes, or the path of a file with their names."""
    return int(text) if text.isdecimal() else text


def parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers with commas between them."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise argparse.ArgumentTypeError(f"must be positive numbers with commas, not {text!r}")
    return scales


def parse_size(text: str) -> tuple[int, int]:
    """``HEIGHTxWIDTH`` in pixels, or one number for both."""
    found = re.fullmatch(r"([0-9]+)(?:[xX]([0-9]+))?", text)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size) < 1:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH in pixels, such as 360x480, not {text!r}")
    return size


def parse_share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return share


def parse_setting(text: str) -> tuple[str, object]:
    """``NAME=VALUE`` as a builder argument; the value is JSON, or else text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    try:
        found = json.loads(value)
    except json.JSONDecodeError:
        found = value
    return name, tuple(found) if isinstance(found, list) else found
