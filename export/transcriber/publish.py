"""`to_transcriber`: write the file, transcribe a thousand words with it and its model, then keep it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo._version import __version__
from zoo.errors import InputError, ParityError
from zoo.export.blocks.keeping import FileReport, check_target, put
from zoo.export.transcriber.artifact import Transcriber, open_transcriber
from zoo.export.transcriber.description import TranscriberDescription
from zoo.files import check_local

# Words that are transcribed with both, and the widths of the beam.
WORDS = 1000
BEAMS = (1, 4)
# Of the largest logit, for float32; the rest is rounding in another order.
MAX_ERROR = 1e-4
_ONSETS = (*"bcdfghjklmnprstvwyz", "ch", "sh", "th", "st", "tr", "pl", "qu", "kn", "ph")
_VOWELS = (*"aeiou", "ee", "ea", "oo", "ou", "ai", "igh", "au", "ow")
_CODAS = ("", "n", "r", "t", "l", "s", "ck", "ng", "mp", "st", "'s", "e", "tion", "ly")


@dataclass(frozen=True, kw_only=True)
class TranscriberReport(FileReport):
    """See `FileReport`.

    Attributes:
        description: What it says of itself.
        words: Drawn words that were transcribed with both, greedily and with a beam of 4, to the same phones.
    """

    description: TranscriberDescription
    words: int


def to_transcriber(model: keras.Model, path: str | os.PathLike) -> TranscriberReport:
    """Write a network of spelling to sound for a host that unfolds it.

    The file takes ``source (words, letters)`` and ``target (words, positions)`` int32, the symbols so far
    with 0 first, and gives ``logits (words, positions, symbols)``: a host appends the likeliest symbol of the
    last position and calls again, until the end. What symbols stand for is inside the file. A thousand drawn
    words are transcribed with file and model, greedily and with a beam of 4; nothing is left where they
    differ.

    Args:
        model: Of ``zoo.load("bytenet_g2p")``.
        path: File named ``*.tflite`` or ``*.onnx``; the report stands beside it as ``<path>.json``.

    Raises:
        InputError: Another model or suffix, or a file that cannot be written.
        ParityError: The file does not compute what the model computes.
    """
    from zoo.export.transcriber.writer import to_onnx, to_tflite

    path = check_local(path)
    writers = {".tflite": to_tflite, ".onnx": to_onnx}
    check_target(path, tuple(writers), what="spelling to sound is")
    description = _described(model)
    content = writers[path.suffix](model, description)
    return put(path, content, lambda work: _measured(open_transcriber(work), model, path, content))


def _measured(artifact: Transcriber, model: keras.Model, path: Path, content: bytes) -> TranscriberReport:
    _compare(artifact, model)
    report = TranscriberReport(
        path=str(path),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        description=artifact.config,
        operations=artifact.operations(),
        words=WORDS,
        max_error=_error(artifact, model),
        version=__version__,
    )
    if not report.max_error <= MAX_ERROR:
        raise ParityError(f"{path.name} is off by {report.max_error:.2g} of the largest logit")
    return report


def drawn_words(count: int) -> list[str]:
    """Words of one to four drawn syllables, the same at every call."""
    draw = np.random.default_rng(0)
    parts = (_ONSETS, _VOWELS, _CODAS)
    return [
        "".join(draw.choice(part) for _ in range(draw.integers(1, 5)) for part in parts) for _ in range(count)
    ]


def _described(model: keras.Model) -> TranscriberDescription:
    from zoo.sequence.bytenet import config_of

    config = config_of(model)
    found = TranscriberDescription(model=model.name, slope=config.slope, offset=config.offset)
    if (found.source, found.target) != (config.source, config.target):
        raise InputError(f"{model.name} is no network of letters and phones")
    return found


def _compare(artifact: Transcriber, model: keras.Model) -> None:
    from zoo.sequence.transcription import transcribe

    words = drawn_words(WORDS)
    for beam in BEAMS:
        expected, found = (transcribe(words, model=one, beam=beam) for one in (model, artifact))
        wrong = [word for word, a, b in zip(words, expected, found, strict=True) if a != b]
        if wrong:
            said = f"{len(wrong)} of {WORDS} words differ with a beam of {beam}, such as {wrong[0]!r}"
            raise ParityError(f"{artifact.path.name}: {said}")


def _error(artifact: Transcriber, model: keras.Model) -> float:
    config, draw = artifact.config, np.random.default_rng(1)
    worst = 0.0
    for words, letters, positions in ((1, 1, 1), (3, 12, 9), (2, 5, 14), (1, 40, 60)):
        source = draw.integers(1, config.source, (words, letters)).astype(np.int32)
        source[-1, letters // 2 + 1 :] = 0
        target = draw.integers(2, config.target, (words, positions)).astype(np.int32)
        target[:, 0] = 0
        expected = model({"source": source, "target": target}, training=False).numpy()
        difference = np.abs(artifact.logits(source, target) - expected).max()
        worst = max(worst, float(difference / np.abs(expected).max()))
    return worst
