"""`to_speaker`: write a WaveNet of codes in blocks, run it beyond its memory, compare, and keep it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo._version import __version__
from zoo.errors import InputError, ParityError
from zoo.export.blocks.description import NEXT_STATE, STATE
from zoo.export.blocks.keeping import FileReport, check_target, probe_sound, put
from zoo.export.blocks.runtimes import SUFFIXES
from zoo.export.blocks.speaker import (
    CODES,
    IDS,
    KEY,
    LOGITS,
    SpeakerArtifact,
    SpeakerDescription,
    open_speaker,
)
from zoo.files import check_local

# Blocks behind the first ones, which fill the state.
HOPS = 200
# Of the largest logit, for float32; the rest is rounding in another order.
MAX_ERROR = 1e-4


@dataclass(frozen=True, kw_only=True)
class SpeakerReport(FileReport):
    """See `FileReport`.

    Attributes:
        description: What it says of itself.
        hops: Blocks in a row that were compared with the whole model: as many as its field has, and 200.
    """

    description: SpeakerDescription
    hops: int


def to_speaker(model: keras.Model, path: str | os.PathLike, *, block: int = 1) -> SpeakerReport:
    """Write a WaveNet of digits for a host that draws the codes itself.

    The file takes ``codes (1, block)``, ``ids (1, 2)`` (digit and speaker) and ``state (1, floats)``, and
    gives ``logits (1, block, 256)`` of what follows each code, and ``next_state``. It begins with a state of
    zeros and the code of silence. It is compared with the whole model until its state has been filled, and
    over 200 blocks more; nothing is left where they differ.

    Args:
        model: What ``zoo.load("wavenet_digits")`` gave.
        path: File named ``*.tflite`` or ``*.onnx``; the report stands beside it as ``<path>.json``.
        block: Codes of a block: 1 to generate, more to measure what is there.

    Returns:
        The report.

    Raises:
        InputError: Another model, suffix or block, or a file that cannot be written.
        ParityError: The file does not compute what the model computes.
    """
    from zoo.export.blocks.writer import End, Ends, Told, to_onnx, to_tflite
    from zoo.sequence.processing import checked_block
    from zoo.sequence.wavenet import in_blocks

    path, block = check_local(path), checked_block(block)
    check_target(path, SUFFIXES)
    said = _described(model, block)
    ends = Ends(
        taken={
            CODES: End((1, block), "int32"),
            IDS: End((1, len(said.ids)), "int32"),
            STATE: End((1, said.state)),
        },
        given={LOGITS: End((1, block, said.classes)), NEXT_STATE: End((1, said.state))},
        as_mapping=True,
    )
    told = Told(key=KEY, text=said.to_json(), title=f"{said.model}: blocks of {block} codes")
    write = {".tflite": to_tflite, ".onnx": to_onnx}[path.suffix]
    content = write(in_blocks(model, block=block), ends, told)
    return put(path, content, lambda work: _measured(open_speaker(work), model, path, content))


def _described(model: keras.Model, block: int) -> SpeakerDescription:
    from zoo.sequence.digits.recordings import RATE, SILENCE, SPEAKERS
    from zoo.sequence.wavenet import config_of

    config = config_of(model)
    if config.ids != (10, len(SPEAKERS)) or config.local:
        raise InputError(f"{model.name} is no WaveNet of 10 digits and {len(SPEAKERS)} speakers")
    return SpeakerDescription(
        model="wavenet_digits",
        block=block,
        state=config.state,
        receptive_field=config.receptive_field,
        classes=config.classes,
        silence=SILENCE,
        ids=config.ids,
        speakers=SPEAKERS,
        sample_rate=RATE,
    )


def _measured(artifact: SpeakerArtifact, model: keras.Model, path: Path, content: bytes) -> SpeakerReport:
    from zoo.sequence.mu_law import encode

    said = artifact.description
    hops = -(-said.receptive_field // said.block) + HOPS
    codes = encode(probe_sound(hops * said.block))[None].astype(np.int32)
    ids = np.array([[7, 4]], np.int32)
    expected = model.predict({CODES: codes, IDS: ids}, verbose=0)
    state, error = artifact.initial_state(), 0.0
    for start in range(0, codes.shape[1], said.block):
        part = slice(start, start + said.block)
        found, state = artifact.step(codes[:, part], ids, state)
        error = max(error, float(np.abs(found - expected[:, part]).max()))
    report = SpeakerReport(
        path=str(path),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        description=said,
        operations=artifact.operations(),
        hops=hops,
        max_error=error / float(np.abs(expected).max()),
        version=__version__,
    )
    if not report.max_error <= MAX_ERROR:
        raise ParityError(
            f"{path.name} is off by {report.max_error:.2g} of the largest logit; at most {MAX_ERROR:g}"
        )
    return report
