"""``zoo transcribe``: how words are said."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import import_tensorflow, options
from zoo.errors import InputError

_DESCRIPTION = """\
Write how English words are said, in ARPAbet phones: the bundled model of spelling to sound, a .keras or .npz
file of the same, or a .tflite or .onnx file of `zoo export`, which needs no TensorFlow.
"""
_EPILOG = """\
examples:
  zoo transcribe segmentation
  zoo transcribe dilated convolution --beam 4
  zoo transcribe segmentation --model g2p.tflite
"""
_ARTIFACTS = (".tflite", ".onnx")
_MODELS = (".keras", ".npz")
NAME = "bytenet_g2p"


def add_parser(subparsers) -> None:
    """Add the parser of ``transcribe``."""
    parser = subparsers.add_parser(
        "transcribe",
        help="write how words are said",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("words", metavar="WORD", nargs="+", help="letters a to z and apostrophes")
    add("--beam", type=int, default=1, metavar="N", help="hypotheses that are kept, 1 (greedy) to 32")
    add("--model", default=NAME, metavar="FILE|NAME", help=f"{NAME} (default), or a file of it")
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Transcribe, one line for each word."""
    from zoo.sequence.phones import letters_of
    from zoo.sequence.transcription import transcribe

    for word in args.words:  # before the seconds that loading takes
        letters_of(word)
    found = transcribe(args.words, model=_opened(args.model), beam=args.beam)
    if options.prints_text(args):
        width = max(map(len, args.words))
        for word, phones in zip(args.words, found, strict=True):
            print(f"{word:<{width}}  {' '.join(phones)}")
    rows = zip(args.words, found, strict=True)
    options.write_json(args, [{"word": word, "phones": phones} for word, phones in rows])
    return 0


def _opened(model: str):
    suffix = Path(model).suffix
    if suffix in _ARTIFACTS:
        from zoo.export.transcriber.artifact import open_transcriber

        return open_transcriber(model)
    if model != NAME and suffix not in _MODELS:
        kinds = ", ".join((*_MODELS, *_ARTIFACTS))
        raise InputError(f"zoo transcribe takes {NAME} or a file of it ({kinds}), not {model!r}")
    import_tensorflow()
    from zoo.models.loading import load

    return load(NAME, "default" if model == NAME else Path(model))
