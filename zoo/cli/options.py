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
                                                 in ``zoo weights`` a TAG, ``zoo ablate`` imagenet or PATH
``--checkpoint-key KEY``   ``checkpoint_key``    where in a file of several sets of tensors the weights are
``--allow-unverified``     ``allow_unverified``  accept weights whose digest was never published
``--set NAME=VALUE``       ``settings``          argument of the model's builder; repeatable
``--output-stride N``      ``output_stride``     4, 8, 16 or 32
``--classes FILE|N``       ``classes``           file with one name per line, or the number of classes
``--input-size HxW``       ``input_size``        height and width of the model's input in pixels
``--tile HxW``             ``tile``              windows through which a large image is seen
``--crop HxW``             ``crop``              part of an image that training sees
``--shrink HxW``           ``size``              images larger than this are shrunk to fit
``--scales S,S,…``         ``scales``            sizes of the image to average over, 1 as it is
``--flip``                 ``flip``              average with the mirrored image; of a recipe: mirror half
``--dataset KIND``         ``kind``              layout of a data set: camvid, voc2012, folder, …
``--data DIR``             ``root``              folder of the data set, here or in a store (``s3://…``)
``--split NAME``           ``split``             part of the data set; in ``zoo dataset`` repeatable
``--masks DIR``            ``masks``             kind folder: folder of the masks
``--colors FILE``          ``colors``            kind folder: table of the colours of masks
``--map VALUE=CLASS``      ``mapping``           class of a value of the masks; repeatable
``--binary``               ``binary``            black and white masks
``--arrangement NAME``     ``arrangement``       how a folder is arranged, where two layouts fit
``--exif apply|raw``       ``exif``              whether EXIF turns images
``--alpha white|ignore``   ``alpha``             what a fourth band is
``--bits N``               ``bits``              depth of images in files of 16 bits
``--max-pixels N``         ``max_pixels``        how large an image may be that is decoded
``--folds BY``             ``by``                how a data set is divided into parts that are held out
``--threads N``            ``threads``           of each runtime
``--engine NAME``          ``engine``            openvino runs .tflite and .onnx files in place of their own
                                                 runtime; in ``zoo segment`` ray, on many images
``--output DIR`` / FILE    ``path``              what is written: a folder made if missing, or a file
``--json FILE``            –                     all results as JSON; ``-`` is standard output
=========================  ====================  =============================================================

What differs between commands, such as a default, stands in brackets at the end of an option's help. With
``--json FILE`` the text is printed as usual; with ``--json -`` the document takes its place.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from zoo.cli.parser import JSON_FORM
from zoo.cli.reading import add_reading, reading_of
from zoo.cli.values import parse_classes, parse_scales, parse_setting, parse_size
from zoo.errors import InputError
from zoo.files import write_text


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
            check_target(path)
        setattr(namespace, self.dest, values)


def check_target(path: Path) -> None:
    """See that a file can be written, before the work of which it holds the results.

    Raises:
        InputError: It is a folder, or its folder is not there.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not path.resolve().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {str(path.parent)!r}")


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


def add_model(parser: argparse.ArgumentParser, *, usual: str) -> None:
    """``--model MODEL``; `usual` says what is where it is left out."""
    parser.add_argument("--model", metavar="MODEL", help=f"model of the zoo ({usual})")


def add_weights(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """``--weights``, where in a file they are, and the consent that those without a published digest need."""
    add = parser.add_argument
    add("--weights", metavar="TAG|PATH", default=default, help="tag, a file, or none for random weights")
    add("--checkpoint-key", metavar="KEY", help="where in that file the weights are, such as model_ema")
    add_unverified(parser)


def add_unverified(parser: argparse.ArgumentParser) -> None:
    """``--allow-unverified``, alike in every command that loads weights."""
    parser.add_argument(
        "--allow-unverified",
        action="store_true",
        help="accept weights whose digest was never published; the one seen is recorded",
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """``--images PATH …``, for commands that do without as well."""
    parser.add_argument(
        "--images",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="files, folders or globs of images (synthetic ones)",
    )


def add_dataset(parser: argparse.ArgumentParser, *, required: bool, split: str, use: str = "") -> None:
    """``--dataset``, ``--data``, ``--split``, ``--classes`` and ``--masks``; see `open_dataset`.

    Args:
        parser: Of the command.
        required: Whether the command is nothing without a data set.
        split: Part of the data set by default.
        use: What the command does with the data set.
    """
    group = parser.add_argument_group("data set")
    add_kind(group, required=required, use=use)
    add = group.add_argument
    add("--data", metavar="DIR", type=Path, required=required, help="folder of the data set")
    # Where there may be no data set, it matters whether a part of it was asked for.
    default = split if required else None
    add("--split", metavar="NAME", default=default, help=f"part of the data set ({split})")
    add_classes(group)
    add_masks(group)
    add_reading(parser)


def add_kind(parser: argparse._ActionsContainer, *, required: bool = False, use: str = "") -> None:
    """``--dataset KIND``."""
    text = "layout of the data, such as camvid or folder"
    parser.add_argument(
        "--dataset", metavar="KIND", required=required, help=f"{text} ({use})" if use else text
    )


def add_classes(parser: argparse._ActionsContainer, *, use: str = "kind folder") -> None:
    """``--classes FILE|N``: an int, or the path of a file."""
    parser.add_argument(
        "--classes",
        metavar="FILE|N",
        type=parse_classes,
        help=f"file with one name per line, or their number ({use})",
    )


def add_masks(parser: argparse._ActionsContainer) -> None:
    """``--masks DIR``."""
    parser.add_argument(
        "--masks", metavar="DIR", type=Path, help="kind folder: the masks; its folder then holds the images"
    )


def open_dataset(args: argparse.Namespace, *, split: str | None = None):
    """The data set that the options of `add_dataset` name.

    Args:
        args: Of the command.
        split: Instead of the part that ``--split`` says.

    Raises:
        InputError: No such data set, or options that do not fit its kind.
    """
    from zoo import datasets

    return datasets.open_dataset(
        args.dataset,
        args.data,
        split=split or args.split,
        classes=args.classes,
        masks=args.masks,
        **reading_of(args),
    )


def open_dataset_if_named(args: argparse.Namespace, *, split: str):
    """The data set where there is ``--dataset``, else `None`; for commands that do without as well.

    Args:
        args: Of the command.
        split: Part of the data set by default.

    Raises:
        InputError: As of `open_dataset`, or options of a data set that is not named.
    """
    if args.dataset is None:
        for name in ("data", "split", "classes", "masks"):
            if getattr(args, name) is not None:
                raise InputError(f"--{name} is for a data set: name its layout with --dataset")
        return None
    if args.data is None:
        raise InputError("--dataset tells the layout of a data set: give its folder with --data")
    return open_dataset(args, split=args.split or split)


def add_averaging(parser: argparse.ArgumentParser) -> None:
    """``--scales``, ``--flip`` and ``--tile``: how often and through what a model sees an image."""
    add = parser.add_argument
    add("--scales", type=parse_scales, default=(1.0,), metavar="S,S,…", help="average over these sizes (1)")
    add("--flip", action="store_true", help="average with the mirrored image")
    add_tile(parser)


def add_tile(parser: argparse._ActionsContainer) -> None:
    """``--tile HxW``."""
    parser.add_argument(
        "--tile", type=parse_size, metavar="HxW", help="see a large image through windows of this size"
    )


def add_input_size(parser: argparse.ArgumentParser, *, usual: str) -> None:
    """``--input-size HxW``; `usual` says what is where it is left out."""
    parser.add_argument(
        "--input-size",
        type=parse_size,
        metavar="HxW",
        help=f"height and width of the model's input in pixels ({usual})",
    )


def add_output_stride(parser: argparse.ArgumentParser) -> None:
    """``--output-stride N``."""
    parser.add_argument("--output-stride", type=int, metavar="N", help="4, 8, 16 or 32 (as of the weights)")


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


def add_threads(parser: argparse.ArgumentParser) -> None:
    """``--threads N``."""
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each runtime (2)")
