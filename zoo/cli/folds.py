"""``--folds``: parts of a data set that are held out one after another, for training and for scoring."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.errors import InputError

PLACE = "{fold}"


def add_folds(parser: argparse._ActionsContainer) -> None:
    """``--folds BY``, with one meaning in every command; its description says what comes of it."""
    parser.add_argument(
        "--folds",
        metavar="BY",
        help="hold out one part after another: drives, stretches:N, a pattern with one group, a list *.txt",
    )


def folds_of(args: argparse.Namespace, dataset):
    """The folds of a data set that ``--folds`` asks for.

    Raises:
        InputError: A way of dividing that does not fit, or a name that is no folder's.
    """
    from zoo.datasets.folds import folds

    found = folds(dataset, args.folds)
    for fold in found:
        if Path(fold.name).name != fold.name:
            fold_names = ", ".join(other.name for other in found)
            raise InputError(f"names of folds name folders here, which {fold_names} cannot; give a pattern")
    return found


def evaluate_folds(args: argparse.Namespace, dataset, **options) -> int:
    """`zoo evaluate --folds`: each part by itself."""
    from zoo.cli import opening
    from zoo.cli import options as vocabulary
    from zoo.evaluation.folds import FoldScores, document, table
    from zoo.evaluation.scoring import evaluate

    one_each = PLACE in str(args.weights or "")
    scores, model = [], None
    for fold in folds_of(args, dataset):
        if one_each or model is None:
            weights = str(args.weights).replace(PLACE, fold.name) if one_each else args.weights
            model = opening.open_model(args.model, weights=weights, **opening.weights_of(args))
        held_out = evaluate(model, fold.held_out, **options)
        training = evaluate(model, fold.training, **options) if one_each else None
        scores.append(FoldScores(fold.name, held_out, training))
    if vocabulary.prints_text(args):
        print(table(scores))
    vocabulary.write_json(args, {"evaluated": args.model, "weights": args.weights, **document(scores)})
    return 0
