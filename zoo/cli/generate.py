"""``zoo generate``: sound that a model draws sample by sample."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zoo.cli import import_tensorflow, options
from zoo.errors import InputError

_DESCRIPTION = """\
Let a WaveNet speak a digit: sound of 8 kHz that it draws sample by sample, written as WAV. Without --seconds
it is as long as the network goes on, at most 1.5 seconds.
"""
_EPILOG = """\
examples:
  zoo generate wavenet_digits --digit 7 --speaker theo --output seven.wav
  zoo generate wavenet_digits --digit 3 --speaker jackson --seed 5 --temperature 0.8 --output three.wav
  zoo generate digits.tflite --digit 3 --speaker jackson --output three.wav
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``generate``."""
    parser = subparsers.add_parser(
        "generate",
        help="let a model speak a digit",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="wavenet_digits, or a .tflite or .onnx file of zoo export")
    add("--weights", metavar="PATH", help=".npz or .keras file of the same kind (the bundled one)")
    add("--digit", required=True, type=int, metavar="N", help="0 to 9")
    add("--speaker", required=True, metavar="NAME", help="george, jackson, lucas, nicolas, theo or yweweler")
    add("--seconds", type=float, metavar="S", help="length (as long as the network speaks)")
    add("--temperature", type=float, default=1.0, metavar="T", help="0 takes the likeliest code (1)")
    add("--seed", type=int, default=0, metavar="N", help="of the draw (0)")
    add("--output", required=True, type=Path, metavar="FILE", help="*.wav to write")
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw, write, and tell of a digit that found no end."""
    from zoo.sequence.generation import check, generate
    from zoo.sequence.sound import check_wav, write_sound

    options.check_target(args.output)
    check_wav(args.output)
    words = {name: getattr(args, name) for name in ("digit", "speaker", "seconds", "temperature", "seed")}
    check(**words)
    model = _opened(args)
    found = generate(model, **words)
    write_sound(args.output, found.samples, rate=found.rate, subtype="PCM_16")
    if args.seconds is None and not found.ended:
        print("the network found no end: cut after 1.5 s; another --seed may end", file=sys.stderr)
    seconds = len(found.samples) / found.rate
    if options.prints_text(args):
        print(f"{args.output}  {seconds:.2f} s, {found.rate} Hz")
    document = {"output": str(args.output), "seconds": seconds, "rate": found.rate, "ended": found.ended}
    options.write_json(args, document)
    return 0


def _opened(args: argparse.Namespace):
    """A model by name, or an exported file, which needs no TensorFlow."""
    if Path(args.model).suffix in (".tflite", ".onnx"):
        from zoo.export.blocks.speaker import open_speaker

        if args.weights is not None:
            raise InputError(f"{args.model} holds its weights: --weights is for wavenet_digits")
        return open_speaker(args.model)
    from zoo.sequence.generation import checked_name

    name = checked_name(args.model)
    import_tensorflow()
    from zoo.models.loading import load

    return load(name, args.weights or "default")
