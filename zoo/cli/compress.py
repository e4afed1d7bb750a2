"""``zoo compress``: prune, cluster or quantize a model while it is fine-tuned."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from zoo.cli import add_unverified_option, recipe
from zoo.cli.export import parse_size, quiet_tensorflow
from zoo.errors import InputError
from zoo.files import write_text

METHODS = ("prune", "cluster", "qat")
_SETTINGS = "compression_settings.json"
# Images on which a file is compared with its model.
_COMPARED = 8

_DESCRIPTION = """\
Fine-tune a trained model while it is made smaller: prune sets the smallest weights to zero, cluster
gives each kernel a few shared values, and qat trains with the rounding of 8-bit integers. The model
must have the classes of the data. The output folder receives model.keras, model.tflite with its
report (full integer for qat), compression.json with all figures, checkpoints and tables of the run.
The same command again goes on from the last epoch. Needs: pip install "atrous-zoo[compression]".
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
    add("--weights", metavar="TAG|PATH", default="default", help="where to start")
    add_unverified_option(parser)
    add("--input-size", metavar="HxW", help="size of the TFLite file (that of the first image)")
    add("--threads", type=int, default=2, metavar="N", help="of LiteRT where latency is measured (2)")
    add("--json", action="store_true", help="print JSON instead of the table")
    _add_method_options(parser)
    _add_teacher_options(parser)
    recipe.add_options(parser)
    parser.set_defaults(run=run, epochs=10, learning_rate=2e-4, strategy="one")


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
    add("--block", metavar="RxC", help="prune: rows and columns of a block (1x4)")
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
    add("--temperature", type=float, default=2.0, metavar="T", help="of both models' probabilities (2)")
    add("--teacher-weight", type=float, default=0.5, metavar="W", help="share of the teacher's loss (0.5)")


def run(args: argparse.Namespace) -> int:
    """Compress, and print the figures before and after."""
    options = _method_options(args)
    size = parse_size(args.input_size)
    if args.auxiliary or args.strategy not in ("one", "auto"):
        raise InputError("compression trains one output on one device: leave --auxiliary and --strategy out")
    if args.threads < 1:
        raise InputError(f"--threads must be 1 or more, not {args.threads}")
    training, validation = recipe.open_data(args)
    quiet_tensorflow()
    from zoo.compression.requirements import require

    require("tensorflow_model_optimization")
    model = _loaded(args.model, args.weights, args, training)
    config = _config(args.method, options)
    run_recipe = _recipe(args, training, validation)
    _remember(args, options)
    result = _compress(args.method, model, config, run_recipe)
    if result.history.stopped == "interrupted":
        print("the same command goes on from here", file=sys.stderr)
        return 130
    if size is None:
        size = (training if validation is None else validation).read(0)[0].shape[:2]
    images = _images(training if validation is None else validation, size)
    figures = _written(args, model, result, validation, size=size, images=images)
    _tell(args, figures)
    return 0


def _method_options(args: argparse.Namespace) -> dict[str, object]:
    """Settings of the method; one of another method is an error."""
    block = None if args.block is None else parse_size(args.block)
    layers = None if args.layers is None else tuple(args.layers)
    preserve = args.preserve_sparsity or None
    given = {
        "prune": {"sparsity": args.sparsity, "pattern": args.pattern, "block": block},
        "cluster": {
            "clusters": args.clusters,
            "initialization": args.initialization,
            "preserve_sparsity": preserve,
        },
        "qat": {},
    }
    for method, options in given.items():
        wrong = [name for name, value in options.items() if value is not None and method != args.method]
        if wrong:
            raise InputError(f"--{wrong[0].replace('_', '-')} belongs to --method {method}")
    if args.method == "qat":
        if layers is not None:
            raise InputError("--layers belongs to --method prune or cluster")
        return {}
    return {name: v for name, v in {**given[args.method], "layers": layers}.items() if v is not None}


def _config(method: str, options: dict[str, object]):
    from zoo.compression import ClusteringConfig, PruningConfig

    return {"prune": PruningConfig, "cluster": ClusteringConfig, "qat": dict}[method](**options)


def _loaded(name: str, weights: str, args: argparse.Namespace, training):
    """A trained model whose classes are those of the data, in the same order."""
    from zoo.labels import class_order
    from zoo.layers.resize import label_set_of
    from zoo.models.loading import load

    model = load(name, weights, allow_unverified=args.allow_unverified)
    order = class_order(label_set_of(model), training.label_set)
    if list(order) != list(range(len(order))):
        raise InputError(f"{name} has the classes of the data in another order; train it on the data first")
    return model


def _recipe(args: argparse.Namespace, training, validation):
    from zoo.compression import Distillation, Recipe

    teacher = None
    if args.teacher is not None:
        from zoo.models.loading import load

        known = load(args.teacher, args.teacher_weights, allow_unverified=args.allow_unverified)
        teacher = Distillation(known, temperature=args.temperature, weight=args.teacher_weight)
    return Recipe(
        batches=lambda start: recipe.batches(args, training, start),
        loss=recipe.loss(args, training, class_weights=recipe.class_weights(args)),
        settings=recipe.settings(args, training),
        distillation=teacher,
        validate=None if validation is None else lambda model: {"miou": _mean_iou(model, validation)},
        output=args.output,
        report=None if sys.stderr.isatty() else _report,
    )


def _report(trained: dict[str, float], scored: dict[str, float]) -> None:
    """A line on standard error at the end of each epoch, for logs."""
    score = f", mIoU {100 * scored['miou']:.2f}" if scored else ""
    print(f"step {trained['step']}, loss {trained['loss']:.4f}{score}", file=sys.stderr, flush=True)


def _mean_iou(model, validation) -> float:
    from zoo.evaluation.scoring import evaluate

    return evaluate(model, validation).mean_iou


def _remember(args: argparse.Namespace, options: dict[str, object]) -> None:
    """Refuse to go on with a run of other settings, whose checkpoints would fit all the same."""
    settings = {
        **recipe.options(args),
        **{k: list(v) if isinstance(v, tuple) else v for k, v in options.items()},
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


def _compress(method: str, model, config, run_recipe):
    from zoo import compression

    if method == "prune":
        return compression.prune(model, config, run_recipe)
    if method == "cluster":
        return compression.cluster(model, config, run_recipe)
    return compression.quantize(model, run_recipe)


def _written(args: argparse.Namespace, model, result, validation, *, size: tuple[int, int], images) -> dict:
    """Write the files of the result; the figures of the model before and after."""
    from zoo import compression, export
    from zoo.compression.measure import Figures, latencies, sizes
    from zoo.training.checkpoints import write_model

    quantized = args.method == "qat"
    keras_file, tflite_file = args.output / "model.keras", args.output / "model.tflite"
    write_model(result.model, keras_file)
    to_tflite = compression.to_tflite if quantized else export.to_tflite
    report = to_tflite(result.model, tflite_file, input_size=size, images=images)
    with tempfile.TemporaryDirectory(prefix=".before-", dir=args.output) as folder:
        old_keras, old_tflite = Path(folder) / "model.keras", Path(folder) / "model.tflite"
        write_model(model, old_keras)
        export.to_tflite(model, old_tflite, input_size=size)
        old_time, new_time = latencies([old_tflite, tflite_file], threads=args.threads)
        before = sizes(old_keras, old_tflite)
    scored = tflite_file if quantized else result.model
    zeros = compression.sparsity(model).sparsity
    return {
        "before": Figures(mean_iou=_score(model, validation), latency_ms=old_time, sparsity=zeros, **before),
        "after": Figures(
            mean_iou=_score(scored, validation),
            latency_ms=new_time,
            sparsity=result.sparsity.sparsity,
            **sizes(keras_file, tflite_file),
        ),
        "parity": report.parity.to_dict(),
        "float_layers": result.float_layers,
        "layers": [{**asdict(x), "sparsity": x.sparsity} for x in result.sparsity.layers],
        "input_size": list(size),
        "threads": args.threads,
    }


def _score(model, validation) -> float | None:
    return None if validation is None else _mean_iou(model, validation)


def _images(data, size: tuple[int, int]) -> list:
    """Some images of the data, in the size of the file, for its comparison with the model."""
    import numpy as np
    from PIL import Image

    images = [Image.fromarray(data.read(index)[0]) for index in range(min(_COMPARED, len(data)))]
    return [np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)) for image in images]


def _tell(args: argparse.Namespace, figures: dict) -> None:
    from zoo.compression.measure import table

    before, after = figures["before"], figures["after"]
    text = json.dumps({**figures, "before": before.to_dict(), "after": after.to_dict()}, indent=2) + "\n"
    _write(args.output / "compression.json", text)
    if args.json:
        print(text, end="")
        return
    print(table(before, after))
    for layer, reason in figures["float_layers"].items():
        print(f"in float: {layer} ({reason})")
    print(f"written: {args.output / 'model.keras'}, {args.output / 'model.tflite'}")
