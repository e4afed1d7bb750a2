"""How ``zoo train`` trains: the options of data and recipe, and what they build."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from zoo.cli.options import parse_scales
from zoo.cli.options import parse_size as parse_tile
from zoo.errors import InputError

LOSSES = ("cross-entropy", "ohem", "dice", "lovasz")
SCHEDULES = ("poly", "cosine")
# Xie et al. and Wu et al. count the hardest share of the pixels; a quarter is the usual one.
_HARD_SHARE = 0.25


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the data to train and to score on."""
    add = parser.add_argument
    add("--dataset", metavar="KIND", required=True, help="layout of the data, such as camvid or folder")
    add("--data", metavar="DIR", type=Path, required=True, help="folder of the data set")
    add("--split", metavar="NAME", default="train", help="part to train on (train)")
    add("--validation", metavar="NAME", default="val", help="part to score on, or none (val)")
    add("--classes", metavar="FILE|N", help="kind folder: file with one name a line, or their number")
    add("--masks", metavar="DIR", type=Path, help="kind folder: the masks, --data then holds the images")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the recipe's options to the parser of ``train``."""
    add = parser.add_argument_group("recipe").add_argument
    add("--epochs", type=int, default=30, help="passes over the data (30)")
    add("--batch-size", type=int, default=8, metavar="N", help="images a step, over all devices (8)")
    add("--crop", type=parse_tile, default=(321, 321), metavar="HxW", help="size of the crops (321x321)")
    add("--learning-rate", type=float, default=1e-3, metavar="RATE", help="AdamW's, falling to 0 (1e-3)")
    add("--schedule", choices=SCHEDULES, default="poly", help="how the rate falls: poly or cosine (poly)")
    add("--warmup", type=float, metavar="EPOCHS", help="linear rise before (1, at most a tenth of the run)")
    add("--weight-decay", type=float, default=1e-2, metavar="DECAY", help="of kernels (1e-2)")
    add("--backbone-factor", type=float, default=1.0, metavar="F", help="backbone's rate over the head's (1)")
    add(
        "--loss",
        type=parse_loss,
        default={"cross-entropy": 1.0},
        metavar="TERMS",
        help="such as cross-entropy, ohem or cross-entropy+0.5*lovasz; terms: " + ", ".join(LOSSES),
    )
    add("--region-every", type=int, default=1, metavar="N", help="dice, lovasz: rows, columns apart (1)")
    add("--label-smoothing", type=float, default=0.0, metavar="S", help="share of the other classes (0)")
    add("--balance", action="store_true", help="weigh classes by 1 / ln(1.10 + share)")
    add("--auxiliary", action="store_true", help="train a second head as well, dropped at the end")
    add("--average", type=float, metavar="M", help="momentum of averaged weights, such as 0.99")
    add("--freeze", action="append", default=[], metavar="PART", help="backbone, batch_norm, …; repeatable")
    add("--clip-norm", type=float, metavar="NORM", help="limit of the gradient's norm")
    add("--accumulate", type=int, default=1, metavar="N", help="batches of one step (1)")
    add("--validate-every", type=int, default=1, metavar="N", help="epochs between validations (1)")
    add("--patience", type=int, metavar="N", help="stop after N validations without a better score")
    add("--precision", default="float32", metavar="TYPE", help="float32, float16 or bfloat16 (float32)")
    add("--strategy", default="auto", help="auto, one, mirrored or multi-worker (auto)")
    add("--seed", type=int, default=0, help="of fresh variables, the order, the augmentation and dropout (0)")
    _add_augmentation(parser)


def _add_augmentation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("augmentation").add_argument
    add("--scale", type=_range, default=(0.5, 2.0), metavar="LOW,HIGH", help="factors of the size (0.5,2)")
    add("--no-flip", action="store_true", help="never mirror")
    add("--brightness", type=float, default=0.125, metavar="B", help="largest shift, of 1 (0.125)")
    add("--contrast", type=float, default=0.25, metavar="C", help="largest change of the factor (0.25)")
    add("--saturation", type=float, default=0.25, metavar="S", help="largest change of the factor (0.25)")
    add("--hue", type=float, default=0.02, metavar="H", help="largest shift, of the full circle (0.02)")


def options(args: argparse.Namespace) -> dict[str, object]:
    """The recipe's options among `args`, by name."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return {name: getattr(args, name) for name in vars(parser.parse_args([]))}


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


def open_data(args: argparse.Namespace) -> tuple:
    """The data sets to train and to score on, the latter `None` for ``--validation none``."""
    from zoo.datasets import open_dataset

    options = {"classes": _classes(args), "masks": args.masks}
    training = open_dataset(args.dataset, args.data, split=args.split, **options)
    if args.batch_size < 1 or args.epochs < 1 or len(training) < args.batch_size:
        raise InputError(
            f"--epochs and --batch-size must be 1 or more, and a batch no larger than the data; got "
            f"{args.epochs} epochs of {len(training)} images in batches of {args.batch_size}"
        )
    if args.validation == "none":
        return training, None
    return training, open_dataset(args.dataset, args.data, split=args.validation, **options)


def _classes(args: argparse.Namespace) -> int | str | None:
    return int(args.classes) if args.classes and args.classes.isdecimal() else args.classes


def class_weights(args: argparse.Namespace) -> tuple[float, ...] | None:
    """With ``--balance`` the weights that ``zoo dataset check`` suggests, from all training masks."""
    if not args.balance:
        return None
    from zoo.datasets import check

    options = {"kind": args.dataset, "splits": [args.split], "classes": _classes(args), "masks": args.masks}
    report = check(args.data, **options)
    if not report.ok:
        raise InputError(
            f"{args.data} has faults, so its classes cannot be balanced: see `zoo dataset check`"
        )
    return report.splits[0].weights


def batches(args: argparse.Namespace, training, start: int, *, cache: bool = False):
    """Augmented batches of the data set `training` from batch `start` on; `cache` keeps it in memory."""
    from zoo.datasets import batches as stream

    return stream(
        training,
        batch_size=args.batch_size,
        crop=args.crop,
        augment=augmentation(args),
        shuffle=True,
        seed=args.seed,
        repeat=None,
        drop_remainder=True,
        start_step=start,
        cache=cache,
    )


def settings(args: argparse.Namespace, training):
    """The engine's settings for a run over the data set `training`."""
    from zoo.training.engine import Settings

    epoch = max(1, len(training) // (args.batch_size * args.accumulate))
    if args.validate_every < 1:
        raise InputError(f"--validate-every must be 1 or more, not {args.validate_every}")
    return Settings(
        steps=epoch * args.epochs,
        epoch_steps=epoch * args.validate_every,
        optimizer=_optimizer(args, epoch),
        clip_norm=args.clip_norm,
        accumulate=args.accumulate,
        average=args.average,
        freeze=tuple(args.freeze),
        precision=args.precision,
        ignore_label=training.label_set.ignore_label,
        patience=args.patience,
        seed=args.seed,
    )


def _optimizer(args: argparse.Namespace, epoch: int):
    from zoo.training.optimizer import OptimizerConfig
    from zoo.training.schedule import Cosine, Poly

    steps = epoch * args.epochs
    warmup = min(epoch, steps // 10) if args.warmup is None else round(args.warmup * epoch)
    kind = {"poly": Poly, "cosine": Cosine}[args.schedule]
    return OptimizerConfig(
        learning_rate=kind(learning_rate=args.learning_rate, steps=steps, warmup=warmup),
        weight_decay=args.weight_decay,
        backbone_factor=args.backbone_factor,
    )


def loss(args: argparse.Namespace, training, *, class_weights: tuple[float, ...] | None):
    """The loss that ``--loss``, ``--label-smoothing``, ``--balance`` and ``--auxiliary`` name."""
    from zoo.training.losses import (
        Dice,
        LovaszSoftmax,
        OnlineHardExamples,
        SparseCrossEntropy,
        WeightedSum,
        WithAuxiliary,
    )

    ignore = {"ignore_label": training.label_set.ignore_label}
    makers = {
        "cross-entropy": lambda: SparseCrossEntropy(
            class_weights=class_weights, label_smoothing=args.label_smoothing, **ignore
        ),
        "ohem": lambda: OnlineHardExamples(keep_ratio=_HARD_SHARE, **ignore),
        "dice": lambda: Dice(every=args.region_every, **ignore),
        "lovasz": lambda: LovaszSoftmax(every=args.region_every, **ignore),
    }
    if args.region_every != 1 and not {"dice", "lovasz"} & set(args.loss):
        raise InputError("--region-every belongs to dice and lovasz, which --loss leaves out")
    if "cross-entropy" not in args.loss and (class_weights is not None or args.label_smoothing):
        raise InputError("--balance and --label-smoothing belong to cross-entropy, which --loss leaves out")
    terms = [makers[name]() for name in args.loss]
    total = WeightedSum(terms, list(args.loss.values()))
    return WithAuxiliary(total) if args.auxiliary else total


def augmentation(args: argparse.Namespace):
    """The ranges of the random changes of images."""
    from zoo.datasets import Augmentation

    colors = {name: getattr(args, name) for name in ("brightness", "contrast", "saturation", "hue")}
    return Augmentation(scale=args.scale, flip=not args.no_flip, **colors)
