"""``zoo export`` for models of sequences that take no blocks of samples."""

from __future__ import annotations

import argparse

from zoo.cli import opening, options
from zoo.errors import InputError

TRANSCRIBER = "bytenet_g2p"
MODELS = (TRANSCRIBER, "bytenet_carp")
FORMATS = ("tflite", "onnx")
_OF_OTHERS = (
    *("block_samples", "input_size", "images", "head", "target", "layout", "quantize", "calibration"),
    *("max_drop", "classes", "set"),
)


def export(args: argparse.Namespace) -> int:
    """Write spelling to sound, transcribe a thousand words with it, and print the report."""
    if args.model != TRANSCRIBER:
        raise InputError(f"{args.model} is not exported")
    if args.format not in FORMATS:
        raise InputError(f"{args.model} is written as {' or '.join(FORMATS)}, not {args.format}")
    for name in _OF_OTHERS:
        if getattr(args, name, None) not in (None, []):
            raise InputError(f"--{name.replace('_', '-')} is for other models than {args.model}")
    if args.output.suffix != f".{args.format}":
        raise InputError(
            f"--format {args.format} writes files named *.{args.format}, not {args.output.name!r}"
        )
    options.check_target(args.output)
    opening.quiet_tensorflow()
    from zoo.export.transcriber.publish import to_transcriber
    from zoo.models.loading import load

    report = to_transcriber(load(args.model, args.weights or "default"), args.output)
    if options.prints_text(args):
        operations = ", ".join(f"{name} {count}" for name, count in report.operations.items())
        print(f"{report.path}  {args.format}, {report.bytes / 1e3:.0f} kB, any number of words and letters")
        print(f"  parity      {report.words} drawn words, greedy and with a beam of 4: the same phones")
        print(f"              logits: error {report.max_error:.2g} of the largest")
        print(f"  operations  {operations}\n  sha256      {report.sha256}")
    options.write_json(args, report.to_dict())
    return 0
