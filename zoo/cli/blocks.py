"""``zoo export`` for models of sequences: files of blocks of samples, and of spelling to sound."""

from __future__ import annotations

import argparse

from zoo.cli import opening, options
from zoo.errors import InputError
from zoo.sequence.table import SEQUENCE_MODELS

FORMATS = ("tflite", "onnx")
USUAL_BLOCK = 64
BLOCKS, TRANSCRIBER = "wavenet_nam", "bytenet_g2p"
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
        help=f"{BLOCKS} only: samples of a block ({USUAL_BLOCK}), tflite and onnx",
    )


def is_meant(args: argparse.Namespace) -> bool:
    """Whether the model is one of sequences; `InputError` for ``--block-samples`` of another."""
    meant = args.model in SEQUENCE_MODELS
    if args.block_samples is not None and args.model != BLOCKS:
        raise InputError(f"--block-samples is for models of sequences ({BLOCKS}), not {args.model}")
    return meant


def export(args: argparse.Namespace) -> int:
    """Write, compare, and print the report."""
    if args.model not in _WRITERS:
        raise InputError(
            f"{args.model} is not exported: {', '.join(_WRITERS)} are, of the models of sequences"
        )
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
    from zoo.models.loading import load

    report, lines = _WRITERS[args.model](load(args.model, args.weights or "default"), args)
    if options.prints_text(args):
        operations = ", ".join(f"{name} {count}" for name, count in report.operations.items())
        print("\n".join(lines))
        print(f"  operations  {operations}\n  sha256      {report.sha256}")
    options.write_json(args, report.to_dict())
    return 0


def _blocks(model, args: argparse.Namespace):
    from zoo.export.blocks.publish import to_blocks

    block = USUAL_BLOCK if args.block_samples is None else args.block_samples
    report = to_blocks(model, args.output, block=block)
    said = report.description
    return report, (
        f"{report.path}  {args.format}, {report.bytes / 1e3:.0f} kB, blocks of {block} samples",
        f"  state       {said.state} floats; {said.receptive_field} samples of silence first",
        f"  parity      {report.hops} blocks in a row: error {report.max_error:.2g} of the loudest sample",
    )


def _transcriber(model, args: argparse.Namespace):
    from zoo.export.transcriber.publish import to_transcriber

    report = to_transcriber(model, args.output)
    return report, (
        f"{report.path}  {args.format}, {report.bytes / 1e3:.0f} kB, any number of words and letters",
        f"  parity      {report.words} drawn words, greedy and with a beam of 4: the same phones",
        f"              logits: error {report.max_error:.2g} of the largest",
    )


_WRITERS = {BLOCKS: _blocks, TRANSCRIBER: _transcriber}
