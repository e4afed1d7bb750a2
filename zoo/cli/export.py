"""``zoo export``: a model as SavedModel, TFLite or ONNX, proven equal to it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import blocks, opening, options, unblocked
from zoo.cli.quantization import add_quantization_options, native_output_hidden, quantization_settings
from zoo.errors import InputError
from zoo.export import formats
from zoo.export.formats import Format, Option
from zoo.export.lint.targets import TARGETS

if TYPE_CHECKING:
    import numpy as np

_EPILOG = """\
example:
  zoo export deeplabv3_aspp --format tflite --input-size 360x480 --output m.tflite
  zoo export deeplabv3_aspp --format tflite --input-size 360x480 --quantize int8 --calibration photos/ \\
    --max-drop 0.01 --output m.tflite
  zoo export deeplabv3_aspp --format onnx --input-size 360x480 --quantize int8 --calibration photos/ \\
    --layout nchw --output m.onnx
  zoo export wavenet_nam --weights amp.nam --format tflite --block-samples 64 --output amp.tflite
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``export``."""
    parser = subparsers.add_parser(
        "export",
        help="write a model as SavedModel, TFLite or ONNX",
        description="Write a model for deployment, run it, compare it with the Keras model, and report. "
        "Nothing is left where the two differ.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="name of a model, or of an architecture")
    parser.add_argument("--format", choices=formats.names(), help="what to write")
    parser.add_argument(
        "--target",
        choices=[*TARGETS],
        help="where it is to run: sets format, head, quantization and layout where these are not given, and"
        " fails where zoo lint finds that something falls back",
    )
    static = formats.either(row.name for row in formats.rows("writer") if row.static_size)
    options.add_input_size(parser, usual=f"any, but {static} needs one")
    add_model_options(parser)
    options.add_classes(parser, use="of a fresh classifier")
    parser.add_argument(
        "--head",
        metavar="HEAD",
        help="logits (size of the image, the default), small_logits (the network's stride), mask (class"
        " indices as bytes) or small_mask (cheaper: the class of the nearest cell)",
    )
    _add_own_options(parser)
    add_rewrite_option(parser)
    add_quantization_options(parser)
    blocks.add_option(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="file or folder to write")
    parser.set_defaults(run=run)


def _add_own_options(parser: argparse.ArgumentParser) -> None:
    """Options that not every format has."""
    first, *others = formats.layouts()
    parser.add_argument(
        "--layout",
        choices=formats.layouts(),
        help=f"{_having_layouts()} only: {first} (default) or {formats.either(others)}",
    )
    for option in formats.options():
        flag, metavar = f"--{option.name.replace('_', '-')}", "N" if option.type is int else "VALUE"
        text = f"{_having(option)} only: {option.help}"
        if option.type is bool:
            parser.add_argument(flag, dest=option.name, action=argparse.BooleanOptionalAction, help=text)
            continue
        parser.add_argument(flag, dest=option.name, type=option.type, metavar=metavar, help=text)


def _having(option: Option) -> str:
    """Names of the formats that have a setting."""
    return formats.either(row.name for row in formats.rows("options") if row.option(option.name))


def _having_layouts() -> str:
    """Names of the formats that have a choice of layouts."""
    return formats.either(row.name for row in formats.rows("writer") if len(row.layouts) > 1)


def _own_options(args: argparse.Namespace, row: Format) -> dict:
    """Those of the options that not every format has; an `InputError` for one that this has not."""
    if args.layout is not None and len(row.layouts) < 2:
        raise InputError(f"--layout is for --format {_having_layouts()}, not {row.name}")
    given = [option for option in formats.options() if getattr(args, option.name) is not None]
    for option in given:
        if row.option(option.name) is None:
            flag = f"--{option.name.replace('_', '-')}"
            raise InputError(f"{flag} is for --format {_having(option)}, not {row.name}")
    return {"layout": args.layout, "options": {option.name: getattr(args, option.name) for option in given}}


def add_rewrite_option(parser: argparse.ArgumentParser) -> None:
    """``--no-rewrite``, for one rewrite at a time or all of them."""
    from zoo.export.deploy import REWRITES

    parser.add_argument(
        "--no-rewrite",
        action="append",
        default=[],
        choices=[*REWRITES, "all"],
        metavar="NAME",
        help=f"leave a rewrite of the model out, or all: {', '.join(REWRITES)}",
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that ``export`` and ``verify`` share."""
    options.add_weights(parser)
    options.add_settings(parser)
    options.add_images(parser)
    options.add_json(parser)
    options.add_replaced(parser, {"--image": "--images"})


def read_images(patterns: Sequence[str] | None, *, size: tuple[int, int] | None) -> list[np.ndarray] | None:
    """Images as uint8 RGB, at `size` (height, width) where the artifact has one; `None` for no patterns."""
    if not patterns:
        return None
    import numpy as np
    from PIL import Image

    from zoo.images import find_images, read_image

    images = [read_image(path) for path in find_images(patterns)]
    if size is None:
        return images
    turned = size[::-1]
    return [np.asarray(Image.fromarray(x).resize(turned, Image.Resampling.BILINEAR)) for x in images]


def tell(text: str) -> None:
    """One line of progress, apart from the result on standard output."""
    print(text, file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Export and print the report."""
    if args.model in unblocked.MODELS:
        return unblocked.export(args)
    if blocks.is_meant(args):
        return blocks.export(args)
    from zoo.export.core.metadata import check_head

    _apply_target(args)
    size, row = args.input_size, formats.find(args.format)
    check_head(args.head)
    if row.static_size and size is None:
        raise InputError(f"a {row.shape.title} has a static size: say it with --input-size HxW")
    settings = _own_options(args, row)
    settings.update(quantization_settings(args))
    classes = opening.classes_of(args.classes)
    opening.quiet_tensorflow()
    from zoo import export
    from zoo.export.core import quantization

    row.load("writer")  # what follows is said before the minutes that loading may take
    formats.check_target(args.output, format=row.name)
    if "quantize" in settings:
        wanted = {name: settings[name] for name in ("calibration", "max_drop")}
        has = {"format": row.name, "kinds": row.quantizations, "sized": row.static_size or size is not None}
        quantization.check(settings["quantize"], **wanted, **has)
    images = read_images(args.images, size=size)
    tell(f"loading {args.model}")
    wanted = opening.weights_of(args)
    model = opening.load_model(args.model, args.weights or "default", classes=classes, **wanted)
    tell(f"exporting to {args.format} and comparing with the model")
    settings |= {"rewrites": _rewrites(args.no_rewrite), "target": args.target}
    with native_output_hidden():
        report = export.to_format(
            row.name, model, args.output, input_size=size, head=args.head, images=images, **settings
        )
    if options.prints_text(args):
        print(_summary(report))
    options.write_json(args, report.to_dict())
    return 0


def _apply_target(args: argparse.Namespace) -> None:
    """Set what a target asks for and the command line does not say."""
    if args.target is not None:
        target = TARGETS[args.target]
        if args.format not in (None, target.format):
            raise InputError(f"--target {target.name} is a {target.format} file, not {args.format}")
        args.format, args.head = target.format, args.head or target.head
        args.layout, args.quantize = args.layout or target.layout, args.quantize or target.quantize
    if args.format is None:
        raise InputError(f"--format says what to write: {', '.join(formats.names())}; or name a --target")
    args.head = args.head or "logits"


def _rewrites(left_out: list[str]) -> list[str]:
    from zoo.export.deploy import REWRITES

    return [name for name in REWRITES if name not in left_out and "all" not in left_out]


def _rewrite_text(rewrite) -> str:
    """``fold_batch_norm 57 (12720 parameters)``."""
    saved = ", ".join(f"{number:,} {what.replace('_', '-')}" for what, number in rewrite.saved.items())
    return f"{rewrite.name} {rewrite.places}" + (f" ({saved})" if saved else "")


def shape_text(port) -> str:
    """``image (1, 360, 480, 3) float32``."""
    axes = ", ".join("any" if n is None else str(n) for n in port.shape)
    return f"{port.name} ({axes}) {port.dtype}"


def _agreement_text(report) -> str:
    """How far a small mask is from the arg-max at full size."""
    return f"{report.mask_agreement:.4%} of the pixels have its class"


def _summary(report) -> str:
    operations = ", ".join(f"{name} {count}" for name, count in report.operations.items())
    rows = [
        (report.path, f"{report.format}, {report.bytes / 1e6:.2f} MB"),
        ("sha256", report.sha256),
        ("input", shape_text(report.inputs[0])),
        ("output", shape_text(report.outputs[0])),
        ("parity", str(report.parity)),
        *([("proof", report.proof)] if report.proof else []),
        *([("exact mask", _agreement_text(report))] if report.mask_agreement is not None else []),
        ("operations", operations),
        *([("quantization", str(report.quantization))] if report.quantization else []),
        ("rewrites", "; ".join(_rewrite_text(r) for r in report.rewrites if r.applied) or "none applied"),
    ]
    width = max(len(name) for name, _ in rows[1:])
    first, *rest = rows
    return "\n".join([f"{first[0]}  {first[1]}", *(f"  {name:<{width}}  {text}" for name, text in rest)])
