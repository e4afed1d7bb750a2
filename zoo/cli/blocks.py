"""``zoo export`` for models of sequences: files that take blocks of samples."""

from __future__ import annotations

import argparse

from zoo.cli import opening, options
from zoo.cli.quantization import native_output_hidden
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
    "max_drop": None,
    "dataset": None,
    "split": None,
    "classes": None,
    "set": [],
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
        names = ", ".join(USUAL_BLOCKS)
        raise InputError(f"--block-samples is for models of sequences ({names}), not {args.model}")
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
    is_speaker = args.model == "wavenet_digits"
    if is_speaker and (args.quantize or args.calibration):
        raise InputError(f"--quantize is for amplifiers, not {args.model}")
    opening.quiet_tensorflow()
    from zoo.models.loading import load

    model = load(args.model, args.weights or "default")
    block = USUAL_BLOCKS[args.model] if args.block_samples is None else args.block_samples
    with native_output_hidden():
        report = _speaker(model, args, block) if is_speaker else _amplifier(model, args, block)
    if options.prints_text(args):
        print(_summary(report, block))
    options.write_json(args, report.to_dict())
    return 0


def _speaker(model, args: argparse.Namespace, block: int):
    from zoo.export.blocks.to_speaker import to_speaker

    return to_speaker(model, args.output, block=block)


def _amplifier(model, args: argparse.Namespace, block: int):
    from zoo.export.blocks.publish import to_blocks
    from zoo.sequence.nam.network import sample_rate_of

    calibration = None
    if args.calibration:
        calibration = _calibration(args.calibration, sample_rate_of(model))
    return to_blocks(model, args.output, block=block, quantize=args.quantize, calibration=calibration)


def _calibration(paths: list[str], rate: float):
    from zoo.sequence.sound import read_sound

    if len(paths) != 1:
        raise InputError(f"--calibration of an amplifier is one sound file, not {len(paths)}")
    sound = read_sound(paths[0])
    if sound.rate != rate:
        raise InputError(
            f"{paths[0]} has {sound.rate} samples per second, the model takes {rate:g}: resample it"
        )
    return sound.channel(None, name=paths[0])


def _summary(report, block: int) -> str:
    operations = ", ".join(f"{name} {count}" for name, count in report.operations.items())
    said = report.description
    is_speaker = said.model == "wavenet_digits"
    begins = "zeros first" if is_speaker else f"{said.receptive_field} samples of silence first"
    unit = "largest logit" if is_speaker else "loudest sample"
    lines = [
        f"{report.path}  {said.model}, {report.bytes / 1e3:.0f} kB, blocks of {block} samples",
        f"  state       {said.state} floats; {begins}",
        f"  parity      {report.hops} blocks in a row: error {report.max_error:.2g} of the {unit}",
        f"  operations  {operations}",
        f"  sha256      {report.sha256}",
    ]
    if not is_speaker and report.quantize is not None:
        lines.insert(3, f"  quantized   {report.quantize}: ESR {report.esr:.2g} against float")
    return "\n".join(lines)
