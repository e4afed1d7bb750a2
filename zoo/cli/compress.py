"""``zoo compress``: prune, cluster or quantize a model while it is fine-tuned."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from zoo.cli import notes, opening, options, reading, recipe
from zoo.errors import InputError
from zoo.files import write_text
from zoo.training.recipe import Recipe, flat

METHODS = ("prune", "cluster", "qat")
_SETTINGS = "compression_settings.json"
# A trained network needs less of both.
_USUAL = {"epochs": 10, "learning_rate": 2e-4}

_DESCRIPTION = """\
Fine-tune a trained model while it is made smaller: prune sets the smallest weights to zero, cluster
gives each kernel a few shared values, and qat trains with the rounding of 8-bit integers. The model
must have the classes of the data. The output folder receives model.keras, model.tflite with its
report (full integer for qat), compression.json with all figures, recipe.json, checkpoints and
tables of the run. The same command again goes on from the last checkpoint.
Needs: pip install "atrous-zoo[compression]".
"""
_EPILOG = """\
Of the recipe, --accumulate, --average, --precision, --auxiliary and several devices are not possible.

examples:
  zoo compress deeplabv3_aspp --method prune --sparsity 0.5 --dataset camvid --data camvid/ --output pruned/
  zoo compress deeplabv3_aspp --method cluster --weights pruned/model.keras --preserve-sparsity \\
    --dataset camvid --data camvid/ --output clustered/
  zoo compress deeplabv3_aspp --method qat --dataset camvid --data camvid/ --output int8/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``compress``."""
    parser = subparsers.add_parser(
        "compress",
        help="prune, cluster or quantize a model while fine-tuning it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="name of a model, or of an architecture")
    add("--method", required=True, choices=METHODS, help="what to do with it")
    recipe.add_data_options(parser)
    add("--output", metavar="DIR", type=Path, required=True, help="folder of the run, made if missing")
    options.add_weights(parser, default="default")
    options.add_input_size(parser, usual="that of the first image")
    options.add_tile(parser)
    reading.add_skip_damaged(parser)
    options.add_threads(parser)
    options.add_json(parser)
    _add_method_options(parser)
    _add_teacher_options(parser)
    recipe.add_options(parser, usual=_USUAL)
    parser.set_defaults(run=run, strategy="one")


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("method").add_argument
    add(
        "--layers",
        action="append",
        metavar="NAME",
        help="prune, cluster: parts or layers to compress; repeatable (all but stem, classifier, depthwise)",
    )
    add("--sparsity", type=float, metavar="S", help="prune: share of zeros in each kernel (0.5)")
    add("--pattern", metavar="NAME", help="prune: unstructured, 2:4 or block (unstructured)")
    add("--block", type=parse_block, metavar="RxC", help="prune: rows and columns of a block (1x4)")
    add("--clusters", type=int, metavar="N", help="cluster: values of each kernel (32)")
    add(
        "--initialization",
        metavar="NAME",
        help="cluster: kmeans_plus_plus, linear (smaller after gzip), density or random (kmeans_plus_plus)",
    )
    add("--preserve-sparsity", action="store_true", help="cluster: zeros of a pruned model stay zeros")


def _add_teacher_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("distillation").add_argument
    add("--teacher", metavar="MODEL", help="model to learn from, with the same classes")
    add("--teacher-weights", metavar="TAG|PATH", default="default", help="its weights")
    add("--teacher-checkpoint-key", metavar="KEY", help="where in that file its weights are")
    add("--temperature", type=float, default=2.0, metavar="T", help="of both models' probabilities (2)")
    add("--teacher-weight", type=float, default=0.5, metavar="W", help="share of the teacher's loss (0.5)")


def run(args: argparse.Namespace) -> int:
    """Compress, and print the figures before and after."""
    settings = _method_settings(args)
    chosen = recipe.recipe_of(args, usual=_USUAL)
    if chosen.auxiliary or args.strategy not in ("one", "auto"):
        raise InputError("compression trains one output on one device: leave --auxiliary and --strategy out")
    if args.threads < 1:
        raise InputError(f"--threads must be 1 or more, not {args.threads}")
    training, validation = recipe.open_data(args, chosen)
    opening.quiet_tensorflow()
    from zoo.compression import FineTuning
    from zoo.compression.requirements import require

    require("tensorflow_model_optimization")
    model = _loaded(args.model, args.weights, args, training)
    config = _config(args.method, settings)
    with notes.warnings_as_notes() as note:
        tuning = FineTuning.by(
            chosen,
            training,
            validation=validation,
            distillation=_teacher(args),
            output=args.output,
            report=None if sys.stderr.isatty() else _report,
            tile=args.tile,
            skip_damaged=args.skip_damaged,
            note=note,
        )
        _remember(args, chosen, settings)
        result = _compress(args.method, model, config, tuning)
    if result.history.stopped == "interrupted":
        print("the same command goes on from here", file=sys.stderr)
        return 130
    _finish(args, model, result, *tuning.usable)
    return 0


def parse_block(text: str) -> tuple[int, int]:
    """``ROWSxCOLUMNS`` of a block of weights."""
    found = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    block = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(block) < 1:
        raise argparse.ArgumentTypeError(f"must be ROWSxCOLUMNS, such as 1x4, not {text!r}")
    return block


def _method_settings(args: argparse.Namespace) -> dict[str, object]:
    """Settings of the method; one of another method is an error."""
    layers = None if args.layers is None else tuple(args.layers)
    preserve = args.preserve_sparsity or None
    given = {
        "prune": {"sparsity": args.sparsity, "pattern": args.pattern, "block": args.block},
        "cluster": {
            "clusters": args.clusters,
            "initialization": args.initialization,
            "preserve_sparsity": preserve,
        },
        "qat": {},
    }
    for method, settings in given.items():
        wrong = [name for name, value in settings.items() if value is not None and method != args.method]
        if wrong:
            raise InputError(f"--{wrong[0].replace('_', '-')} belongs to --method {method}")
    if args.method == "qat":
        if layers is not None:
            raise InputError("--layers belongs to --method prune or cluster")
        return {}
    return {name: v for name, v in {**given[args.method], "layers": layers}.items() if v is not None}


def _config(method: str, settings: dict[str, object]):
    from zoo.compression import ClusteringConfig, PruningConfig

    return {"prune": PruningConfig, "cluster": ClusteringConfig, "qat": dict}[method](**settings)


def _loaded(name: str, weights: str, args: argparse.Namespace, training):
    """A trained model whose classes are those of the data, in the same order."""
    from zoo.labels import class_order
    from zoo.layers.resize import label_set_of
    from zoo.models.loading import load

    if weights == "none":
        raise InputError("--weights none are random ones: compression starts from trained weights")
    model = load(name, weights, **opening.weights_of(args))
    order = class_order(label_set_of(model), training.label_set)
    if list(order) != list(range(len(order))):
        raise InputError(f"{name} has the classes of the data in another order; train it on the data first")
    return model


def _teacher(args: argparse.Namespace):
    if args.teacher is None:
        return None
    from zoo.compression import Distillation
    from zoo.models.loading import load

    if args.teacher_weights == "none":
        raise InputError("--teacher-weights none are random ones: a teacher has been trained")
    wanted = opening.weights_of(args) | {"checkpoint_key": args.teacher_checkpoint_key}
    known = load(args.teacher, args.teacher_weights, **wanted)
    return Distillation(known, temperature=args.temperature, weight=args.teacher_weight)


def _report(trained: dict[str, float], scored: dict[str, float]) -> None:
    """A line on standard error at the end of each epoch, for logs."""
    score = f", mIoU {100 * scored['miou']:.2f}" if scored else ""
    print(f"step {trained['step']}, loss {trained['loss']:.4f}{score}", file=sys.stderr, flush=True)


def _remember(args: argparse.Namespace, chosen: Recipe, method: dict[str, object]) -> None:
    """Refuse to go on with a run of other settings, whose checkpoints would fit all the same."""
    settings = {
        **flat(chosen),
        "strategy": args.strategy,
        **{k: list(v) if isinstance(v, tuple) else v for k, v in method.items()},
    }
    settings |= {name: getattr(args, name) for name in ("model", "method", "teacher", "teacher_weights")}
    settings |= {"weights": str(args.weights), "data": str(args.data), "split": args.split}
    settings |= {"temperature": args.temperature, "teacher_weight": args.teacher_weight}
    text = json.dumps(settings, indent=2, sort_keys=True, default=str) + "\n"
    path = args.output / _SETTINGS
    if path.is_file() and (args.output / "checkpoints").is_dir():
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if changed:
            raise InputError(
                f"{args.output} holds a run with another {', '.join(changed)}; choose an empty folder"
            )
    _write(path, text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    write_text(path, text)


def _compress(method: str, model, config, tuning):
    from zoo import compression

    if method == "prune":
        return compression.prune(model, config, tuning)
    if method == "cluster":
        return compression.cluster(model, config, tuning)
    return compression.quantize(model, tuning)


def _finish(args: argparse.Namespace, model, result, training, validation) -> None:
    """Write the files of the result, measure both models, and tell."""
    from zoo.compression.measure import measure, sample_images

    shown = training if validation is None else validation
    size = args.input_size or shown.read(0)[0].shape[:2]
    found = measure(
        model,
        result,
        output=args.output,
        input_size=size,
        images=sample_images(shown, size),
        validation=validation,
        threads=args.threads,
        tile=args.tile,
    )
    _write(args.output / "compression.json", json.dumps(found.to_dict(), indent=2) + "\n")
    options.write_json(args, found.to_dict())
    if not options.prints_text(args):
        return
    print(found)
    for layer, reason in result.float_layers.items():
        print(f"in float: {layer} ({reason})")
    print(f"written: {args.output / 'model.keras'}, {args.output / 'model.tflite'}")
