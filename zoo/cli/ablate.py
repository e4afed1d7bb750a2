"""``zoo ablate``: the comparisons that the papers argue with, repeated on one's own data."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import textwrap
from pathlib import Path

from zoo.ablation.comparisons import COMPARISONS, Comparison, resolve
from zoo.cli import folds, import_tensorflow, options, reading, recipe
from zoo.cli.values import parse_size
from zoo.errors import InputError
from zoo.files import write_text
from zoo.training.recipe import Recipe

_DESCRIPTION = """\
Train the variants that a paper compares, each with the same recipe and budget and with several
seeds, score them after the last step, and tell whether the paper's order holds and by how much
compared with the spread over the seeds. All are on MobileNetV2 with ImageNet weights. The options
of the recipe are those of `zoo train`.

With --output the folder receives <comparison>.md, .png, .json and .recipe.json,
and runs/ with a folder for each run. A finished run is not repeated, by no comparison, unless
something changes that decides it; an interrupted one goes on from its last checkpoint.

With --folds each variant is trained once without each drive (or another part) and scored there;
beside stand the scores on what it was trained on and on the validation part.

comparisons, each variant better than the next one by the paper (but for recipe):
"""
_EPILOG = """\
examples:
  zoo ablate hdc --dataset camvid --data camvid/ --output ablation/
  zoo ablate duc --dataset camvid --data camvid/ --shrink 180x240 --crop 145x193 --epochs 10 --seeds 5
  zoo ablate recipe --dataset camvid --data camvid/ --folds drives --output ablation/
  zoo ablate aspp --dataset folder --data mine/ --classes names.txt --variants pyramid,one-rate
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``ablate``."""
    parser = subparsers.add_parser(
        "ablate",
        help="train variants of a network and compare them as the papers do",
        description=_DESCRIPTION + "\n".join(map(_listed, COMPARISONS.values())),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("comparison", metavar="COMPARISON", help=", ".join(COMPARISONS))
    recipe.add_data_options(parser)
    add("--output", metavar="DIR", type=Path, help="folder of the tables and the runs, made if missing")
    add("--seeds", type=int, default=3, metavar="N", help="runs of each variant, from --seed on (3)")
    add("--variants", type=_names, metavar="A,B,…", help="only these variants")
    add(
        "--shrink",
        dest="size",
        type=parse_size,
        metavar="HxW",
        help="shrink larger images to fit, for training too",
    )
    add(
        "--weights",
        metavar="NAME|PATH",
        default="imagenet",
        help="where to start: imagenet, none, or a file such as a model *.keras (imagenet)",
    )
    folds.add_folds(parser)
    options.add_tile(parser)
    reading.add_skip_damaged(parser)
    options.add_settings(parser)
    recipe.add_options(parser)
    options.add_replaced(parser, {"--size": "--shrink HxW"})
    parser.set_defaults(run=run)


def _listed(comparison: Comparison) -> str:
    names = ", ".join(variant.name for variant in comparison.variants)
    source = textwrap.shorten(comparison.source.split(";")[0], 60)
    return f"  {comparison.name:<14} {names} ({source})"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, and print the table."""
    comparison = resolve(args.comparison).only(args.variants)
    seed = getattr(args, "seed", 0)
    if args.seeds < 1 or seed < 0:
        raise InputError(f"--seeds must be 1 or more and --seed 0 or more, not {args.seeds} and {seed}")
    chosen = recipe.recipe_of(args)
    training, validation = _data(args, chosen)
    import_tensorflow()
    # Each run traces a new model, which TensorFlow takes for one function that is traced again and again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from zoo.ablation.networks import cost
    from zoo.ablation.runner import run_all
    from zoo.ablation.summary import Summary

    budget = _budget(args, chosen, training, validation)
    costs = {variant.name: cost(comparison, variant, budget=budget) for variant in comparison.variants}
    seeds = range(chosen.seed, chosen.seed + args.seeds)
    runs = run_all(comparison, budget=budget, seeds=seeds, output=args.output, tell=_tell)
    if len(runs) < len(seeds) * len(comparison.variants) * max(1, len(budget.folds)):
        kept = "; the same command goes on from here" if args.output is not None else ""
        print(f"interrupted after {len(runs)} runs{kept}", file=sys.stderr)
        return 130
    _report(args, Summary(comparison, tuple(runs)), costs, budget)
    return 0


def _data(args: argparse.Namespace, chosen: Recipe) -> tuple:
    """Checked options, and the data sets at the size that was asked for."""
    from zoo.datasets.shrunk import shrink

    if chosen.patience is not None:
        raise InputError("--patience would give the variants different budgets; all train to the last epoch")
    if chosen.auxiliary:
        raise InputError("--auxiliary is for `zoo train`: the variants have no second head")
    if args.validation == "none":
        raise InputError("--validation none leaves nothing to compare the variants by")
    training, validation = recipe.open_data(args, chosen)
    if args.skip_damaged:
        training, validation = reading.usable(training), reading.usable(validation)
    if args.size is None:
        return training, validation
    return shrink(training, args.size), shrink(validation, args.size)


def _budget(args: argparse.Namespace, chosen: Recipe, training, validation):
    from zoo.ablation.budget import Budget
    from zoo.training.runs import loss_of
    from zoo.training.strategy import make_strategy

    return Budget(
        training=training,
        validation=validation,
        recipe=chosen,
        strategy=make_strategy(args.strategy),
        # Once for all runs: a balanced one reads every mask.
        loss=loss_of(chosen, training),
        # Shrunk images are few bytes, and reading them anew in each epoch would take longer than training.
        cache=args.size is not None,
        weights=None if args.weights == "none" else args.weights,
        extra=dict(args.set),
        folds=() if args.folds is None else folds.folds_of(args, training),
        tile=args.tile,
    )


def _tell(run, done: int, total: int) -> None:
    how = "kept from an earlier call" if run.kept else f"{run.seconds:.0f} s"
    score = f"mean IoU {100 * run.scores.mean_iou:.2f}"
    part = "" if run.fold is None else f" without {run.fold}"
    line = f"[{done}/{total}] {run.variant}{part}, seed {run.seed}: {score} ({how})"
    print(line, file=sys.stderr, flush=True)


def _report(args: argparse.Namespace, summary, costs, budget) -> None:
    from zoo.ablation import report
    from zoo.ablation.budget import deciding
    from zoo.ablation.plot import plot
    from zoo.training.strategy import is_chief

    words = _words(budget)
    print(report.text(summary, costs, recipe=words))
    if args.output is None or not is_chief(budget.strategy):
        return
    document = report.to_dict(summary, costs, recipe=deciding(budget.recipe))
    path = args.output / summary.comparison.name
    budget.recipe.save(path.with_suffix(".recipe.json"))
    write_text(path.with_suffix(".json"), json.dumps(document, indent=2) + "\n")
    write_text(path.with_suffix(".md"), report.markdown(summary, costs, recipe=words))
    plot(summary, path.with_suffix(".png"))


def _words(budget) -> str:
    """The recipe in words: what the table is of, and which options are not the usual ones."""
    from zoo.ablation.budget import deciding

    chosen, usual = budget.recipe, deciding(Recipe())
    named = ("epochs", "batch_size", "crop", "learning_rate")
    others = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in deciding(chosen).items()
        if name not in named and value != usual[name]
    ]
    others += [f"{name} {value}" for name, value in budget.extra.items()]
    known = {"imagenet": "ImageNet weights", None: "random weights"}
    start = known.get(budget.weights) or Path(budget.weights).name
    size = "x".join(map(str, chosen.crop))
    parts = [
        f"{chosen.epochs} epochs of {len(budget.training)} images from {start}",
        f"batches of {chosen.batch_size} crops of {size}",
        f"learning rate {chosen.rate():g}",
        *others,
    ]
    return ", ".join(parts)
