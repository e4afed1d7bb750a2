"""The options of data and recipe that training commands share, and the recipe that they make."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType

from zoo.cli import options
from zoo.cli.parser import Parser
from zoo.cli.values import parse_scales, parse_size
from zoo.datasets.orders import ORDERS
from zoo.errors import InputError
from zoo.training.recipe import LOSSES, SCHEDULES, Recipe, augmentation_names, names

# What a command does in another way than a recipe: nothing.
AS_IT_IS: Mapping[str, object] = MappingProxyType({})
# Settings that a message may name, where the person has written an option.
_WORDS = re.compile(
    r"\b(validate_every|region_every|label_smoothing|border_weight|focus|balance|batch_size)\b"
    r"|(?<=which )loss\b"
)


def add_data_options(parser: Parser, *, required: bool = True) -> None:
    """Add the options that name the data to train and to score on."""
    options.add_dataset(parser, required=required, split="train")
    parser.add_argument("--validation", metavar="NAME", default="val", help="part to score on, or none (val)")
    order = "samples: any sample anywhere; files: each place of a batch has files of its own (of records)"
    parser.add_argument("--order", choices=ORDERS, help=order)


def add_options(parser: argparse.ArgumentParser, *, usual: Mapping[str, object] = AS_IT_IS) -> None:
    """Add the recipe's options; those that are not given are no attributes of what the parser returns.

    Args:
        parser: Of the command.
        usual: Settings that have another value in this command where neither a file nor an option gives one.
    """
    usual = {field.name: field.default for field in fields(Recipe)} | dict(usual)
    group = parser.add_argument_group("recipe", argument_default=argparse.SUPPRESS)
    add = group.add_argument
    add(
        "--recipe",
        metavar="FILE",
        type=Path,
        default=None,
        help="start from a recipe, JSON or YAML, such as the recipe.json of a run; other options change it",
    )
    add("--epochs", type=int, help=f"passes over the data ({usual['epochs']})")
    size = "x".join(map(str, usual["crop"]))
    batch = f"images a step, over all devices ({usual['batch_size']})"
    add("--batch-size", type=int, metavar="N", help=batch)
    add("--crop", type=parse_size, metavar="HxW", help=f"size of the crops ({size})")
    _add_rate(add, usual)
    _add_loss(add)
    add("--average", type=_optional(float), metavar="M", help="momentum of averaged weights, such as 0.99")
    add("--freeze", action="append", metavar="PART", help="backbone, batch_norm, …; repeatable")
    rule = "auto, always or never: whether batch norm takes the batch's own; auto: from 4 images on (auto)"
    add("--batch-statistics", metavar="WHEN", help=rule)
    add("--clip-norm", type=_optional(float), metavar="NORM", help="limit of the gradient's norm")
    add("--accumulate", type=int, metavar="N", help="batches of one step (1)")
    add("--validate-every", type=int, metavar="N", help="epochs between validations (1)")
    patience = "stop after N validations without a better score"
    add("--patience", type=_optional(int), metavar="N", help=patience)
    add("--precision", metavar="TYPE", help="float32, float16 or bfloat16 (float32)")
    add("--strategy", default="auto", help="auto, one, mirrored, multi-worker or tpu (auto)")
    add("--seed", type=int, help="of fresh variables, the order, the augmentation and dropout (0)")
    _add_augmentation(parser)


def _add_rate(add: Callable, usual: Mapping[str, object]) -> None:
    named = usual["learning_rate"]
    rate = f"AdamW's, falling to 0 ({Recipe(learning_rate=named).rate():g})"
    rate += "" if named else "; less for a trained classifier and batches of fewer than 4"
    add("--learning-rate", type=float, metavar="RATE", help=rate)
    add("--schedule", choices=SCHEDULES, help=f"how the rate falls: poly or cosine ({usual['schedule']})")
    warmup = "linear rise before (1, at most a tenth of the run)"
    add("--warmup", type=_optional(float), metavar="EPOCHS", help=warmup)
    add("--weight-decay", type=float, metavar="DECAY", help=f"of kernels ({usual['weight_decay']:g})")
    factor = f"backbone's rate over the head's ({usual['backbone_factor']:g})"
    add("--backbone-factor", type=float, metavar="F", help=factor)


def _add_loss(add: Callable) -> None:
    switch = argparse.BooleanOptionalAction
    terms = "such as cross-entropy, ohem or cross-entropy+0.5*lovasz; terms: " + ", ".join(LOSSES)
    add("--loss", type=parse_loss, metavar="TERMS", help=terms)
    add("--region-every", type=int, metavar="N", help="dice, lovasz: rows, columns apart (1)")
    add("--label-smoothing", type=float, metavar="S", help="share of the other classes (0)")
    add("--focus", type=float, metavar="G", help="exponent of focal loss in cross-entropy (0)")
    add("--border-weight", type=float, metavar="W", help="how much more pixels near a border count (0)")
    add("--balance", action=switch, help="weigh classes by 1 / ln(1.10 + share)")
    add("--auxiliary", action=switch, help="train a second head as well, dropped at the end")


def _add_augmentation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("augmentation", argument_default=argparse.SUPPRESS).add_argument
    add("--scale", type=_range, metavar="LOW,HIGH", help="factors of the size (0.5,2)")
    add("--flip", action=argparse.BooleanOptionalAction, help="mirror every second image, or never")
    add("--brightness", type=float, metavar="B", help="largest shift, of 1 (0.125)")
    add("--contrast", type=float, metavar="C", help="largest change of the factor (0.25)")
    add("--saturation", type=float, metavar="S", help="largest change of the factor (0.25)")
    add("--hue", type=float, metavar="H", help="largest shift, of the full circle (0.02)")
    add("--gamma", type=float, metavar="G", help="largest power of 2 of the exponent (0)")
    add("--gain", type=float, metavar="G", help="largest change of each channel's factor (0)")
    add("--shadow", type=float, metavar="S", help="largest loss of light on one side of a line (0)")
    add("--blur", type=float, metavar="PIXELS", help="largest deviation of a Gaussian (0)")
    add("--noise", type=float, metavar="N", help="largest deviation of noise, of 1 (0)")
    add("--rare", type=float, metavar="SHARE", help="crops placed around a rare class (0)")
    add("--paste", type=float, metavar="SHARE", help="images that get a rare class from another one (0)")


def recipe_of(args: argparse.Namespace, *, usual: Mapping[str, object] = AS_IT_IS) -> Recipe:
    """The recipe that a command line asks for: that of ``--recipe``, or the usual one, and the options.

    Raises:
        InputError: A file that is no recipe, or a value that a recipe does not allow.
    """
    start = Recipe(**usual) if args.recipe is None else Recipe.read(args.recipe)
    given = vars(args)
    values = {name: given[name] for name in names() if name in given}
    if values.get("freeze") == ["none"]:
        values["freeze"] = ()
    changes = {name: given[name] for name in augmentation_names() if name in given}
    try:
        return replace(start, augmentation=replace(start.augmentation, **changes), **values)
    except InputError as error:
        raise InputError(as_options(str(error))) from error


def as_options(message: str) -> str:
    """A message about a recipe in the words of the command line."""
    return _WORDS.sub(lambda found: "--" + found[0].replace("_", "-"), message)


def _optional(kind: Callable) -> Callable:
    """A parser of `kind` that takes ``none``, too, which undoes what a file says."""

    def parse(text: str):
        return None if text == "none" else kind(text)

    parse.__name__ = kind.__name__  # argparse names it in its message
    return parse


def _range(text: str) -> tuple[float, float]:
    values = parse_scales(text)
    if len(values) != 2 or values[0] > values[1]:
        raise argparse.ArgumentTypeError(f"must be LOW,HIGH with LOW no larger than HIGH, not {text!r}")
    return values


def parse_loss(text: str) -> dict[str, float]:
    """``TERM+TERM…`` as weights by name; a term is a name of `LOSSES`, or ``WEIGHT*NAME``."""
    terms: dict[str, float] = {}
    for part in text.split("+"):
        found = re.fullmatch(r"\s*(?:(\d*\.?\d+)\s*\*\s*)?([a-z-]+)\s*", part)
        if found is None or found[2] not in LOSSES or found[2] in terms:
            known = ", ".join(LOSSES)
            raise argparse.ArgumentTypeError(
                f"must be terms like cross-entropy+0.5*lovasz, each of {known} once, not {text!r}"
            )
        terms[found[2]] = float(found[1] or 1.0)
    return terms


def open_data(args: argparse.Namespace, recipe: Recipe) -> tuple:
    """The data sets to train and to score on, the latter `None` for ``--validation none``."""
    training = options.open_dataset(args)
    if args.order is not None:
        training = replace(training, order=args.order)
    try:
        recipe.steps_per_epoch(len(training))
    except InputError as error:
        raise InputError(as_options(str(error))) from error
    if args.validation == "none":
        return training, None
    return training, options.open_dataset(args, split=args.validation)
