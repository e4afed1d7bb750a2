"""``zoo export`` for models of sequences: files that take blocks of samples."""

from __future__ import annotations

import argparse

from zoo.cli import opening, options
from zoo.errors import InputError
from zoo.sequence.table import SEQUENCE_MODELS

FORMATS = ("tflite", "onnx")
# Samples of a block where none are asked for; a speaker draws each from the one before.
USUAL_BLOCKS = {"wavenet_nam": 64, "wavenet_digits": 1}
# Options of images, and what they are when none is given.
_OF_IMAGES = {
    "input_size": None,
    "images": None,
    "head": None,
    "target": None,
    "layout": None,
    "quantize": None,
    "classes": None,
}


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--block-samples``."""
    parser.add_argument(
        "--block-samples",
        type=int,
        metavar="N",
        help="models of sequences only: samples of a block (64; wavenet_digits 1), tflite and onnx",
    )


def is_meant(args: argparse.Namespace) -> bool:
    """Whether the model is one of sequences; `InputError` for ``--block-samples`` of another."""
    meant = args.model in SEQUENCE_MODELS
    if args.block_samples is not None and not meant:
        raise InputError(
            f"--block-samples is for models of sequences ({', '.join(SEQUENCE_MODELS)}), not {args.model}"
        )
    return meant


def export(args: argparse.Namespace) -> int:
    """Write, compare over 200 blocks, and print the report."""
    if args.format not in FORMATS:
        raise InputError(f"{args.model} is written as {' or '.join(FORMATS)}, not {args.format}")
    for name, usual in _OF_IMAGES.items():
        if getattr(args, name, usual) not in (usual, []):
            raise InputError(f"--{name.replace('_', '-')} is for models of images, not {args.model}")
    if args.output.suffix != f".{args.format}":
        raise InputError(
            f"--format {args.format} writes files named *.{args.format}, not {args.output.name!r}"
        )
    options.check_target(args.output)
    opening.quiet_tensorflow()
    from zoo.export.blocks.publish import to_blocks
    from zoo.export.blocks.to_speaker import to_speaker
    from zoo.models.loading import load

    model = load(args.model, args.weights or "default")
    block = USUAL_BLOCKS[args.model] if args.block_samples is None else args.block_samples
    if args.model == "wavenet_digits":
        report = to_speaker(model, args.output, block=block)
        begins, unit = "zeros first", "largest logit"
    else:
        report = to_blocks(model, args.output, block=block)
        begins = f"{report.description.receptive_field} samples of silence first"
        unit = "loudest sample"
    if options.prints_text(args):
        operations = ", ".join(f"{name} {count}" for name, count in report.operations.items())
        print(f"{report.path}  {args.format}, {report.bytes / 1e3:.0f} kB, blocks of {block} samples")
        print(f"  state       {report.description.state} floats; {begins}")
        print(f"  parity      {report.hops} blocks in a row: error {report.max_error:.2g} of the {unit}")
        print(f"  operations  {operations}\n  sha256      {report.sha256}")
    options.write_json(args, report.to_dict())
    return 0
