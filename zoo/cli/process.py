"""``zoo process``: sound through an amplifier model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zoo.cli import import_tensorflow, options
from zoo.errors import InputError

_DESCRIPTION = """\
Run a sound file through an amplifier model: a .nam file of Neural Amp Modeler, a .keras file of the same, or
a .tflite or .onnx file of `zoo export --block-samples`, which needs no TensorFlow. The result is a WAV file
of the same length and sample rate, stored as the input was.
"""
_EPILOG = """\
examples:
  zoo process amp.nam in.wav --output out.wav
  zoo process amp.tflite guitar.wav --channel mix --output out.wav
"""
_ARTIFACTS = (".tflite", ".onnx")


def add_parser(subparsers) -> None:
    """Add the parser of ``process``."""
    parser = subparsers.add_parser(
        "process",
        help="run sound through an amplifier model",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help=".nam, .keras, .tflite or .onnx file")
    add("sound", metavar="SOUND", type=Path, help="WAV, FLAC or AIFF file")
    add("--submodel", type=int, metavar="N", help="size of a .nam file that holds several, 0 the smallest")
    add("--channel", metavar="N|mix", help="channel of a file that has several, or their mean")
    add("--any-rate", action="store_true", help="process sound of another sample rate as it is")
    add("--float", action="store_true", help="write 32-bit floats, which are never cut at full scale")
    add("--output", required=True, type=Path, metavar="FILE", help="*.wav to write")
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Process, write, and tell of samples that were cut."""
    from zoo.sequence.processing import process
    from zoo.sequence.sound import read_sound, stored_as, write_sound

    options.check_target(args.output)
    sound = read_sound(args.sound)
    samples = sound.channel(_channel(args.channel), name=args.sound.name)
    model, rate = _opened(args)
    if rate != sound.rate and not args.any_rate:
        raise InputError(
            f"{args.sound.name} has {sound.rate} samples per second, the model takes {rate:g}: resample it, "
            "or pass --any-rate to process it as it is, which shifts what the amplifier does to frequencies"
        )
    found = process(model, samples)
    subtype = "FLOAT" if args.float else stored_as(sound.subtype)
    cut = write_sound(args.output, found, rate=sound.rate, subtype=subtype)
    if cut:
        print(f"{cut} samples were beyond full scale and were cut: --float keeps them", file=sys.stderr)
    seconds, peak = len(found) / sound.rate, float(abs(found).max())
    if options.prints_text(args):
        print(f"{args.output}  {seconds:.2f} s, {sound.rate} Hz, {subtype}, peak {peak:.3f}")
    document = {"output": str(args.output), "seconds": seconds, "rate": sound.rate, "peak": peak, "cut": cut}
    options.write_json(args, document)
    return 0


def _channel(text: str | None) -> int | str | None:
    if text is None or text == "mix":
        return text
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--channel takes a number or mix, not {text!r}") from None


def _opened(args: argparse.Namespace):
    """The model, and the sample rate that it takes."""
    suffix = Path(args.model).suffix
    if suffix not in (*_ARTIFACTS, ".nam", ".keras"):
        raise InputError(f"no model of sound: {args.model}; a .nam, .keras, .tflite or .onnx file is one")
    if suffix in _ARTIFACTS:
        from zoo.export.blocks.artifact import open_blocks

        if args.submodel is not None:
            raise InputError(f"{args.model} holds one size: --submodel is for .nam files of several")
        artifact = open_blocks(args.model)
        return artifact, artifact.sample_rate
    import_tensorflow()
    from zoo.models.loading import load
    from zoo.sequence.nam.network import sample_rate_of

    settings = {} if args.submodel is None else {"submodel": args.submodel}
    model = load("wavenet_nam", Path(args.model), settings=settings)
    return model, sample_rate_of(model)
