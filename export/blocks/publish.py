"""`to_blocks`: write the block form, run it over many blocks, compare, and only then keep it."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo._version import __version__
from zoo.errors import ParityError
from zoo.export.blocks import quantizing
from zoo.export.blocks.artifact import BlockArtifact, open_blocks
from zoo.export.blocks.description import KEY, NEXT_STATE, OUTPUT, SAMPLES, STATE, BlockDescription
from zoo.export.blocks.keeping import FileReport, check_target, probe_sound, put
from zoo.export.blocks.runtimes import SUFFIXES
from zoo.files import check_local

HOPS = 200
# Of the loudest sample, for float32; the rest is rounding in another order.
MAX_ERROR = 1e-4


@dataclass(frozen=True, kw_only=True)
class BlockReport(FileReport):
    """See `FileReport`.

    Attributes:
        description: What it says of itself.
        hops: Blocks in a row that were compared with the whole model.
        esr: Error-to-signal ratio, the squared error over the squared signal.
        quantize: Kind of quantization, or `None`.
    """

    description: BlockDescription
    hops: int
    esr: float
    quantize: str | None = None


def to_blocks(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    block: int = 64,
    quantize: str | None = None,
    calibration: np.ndarray | None = None,
) -> BlockReport:
    """Write a causal model for a host that hands it sound block by block.

    The file takes ``samples (1, block, 1)`` and ``state (1, floats)``, and gives ``output`` and
    ``next_state``, which the host hands back with the next block. A stream begins with zeros and as much
    silence as the receptive field. The file is run over 200 blocks in a row and compared with the whole
    model; nothing is left where they differ.

    Args:
        model: An amplifier model of ``zoo.load("wavenet_nam", …)``.
        path: File named ``*.tflite`` or ``*.onnx``; the report stands beside it as ``<path>.json``.
        block: Samples of a block, which add to the delay: 64 are 1.3 ms at 48 kHz.
        quantize: `None`, or for a ``.tflite`` file ``"float16"`` (weights of 16 bits), ``"dynamic"`` (weights
            of 8), ``"int16x8"`` (weights of 8 bits, activations and state of 16) or ``"int8"``. Each is tried
            and measured: most amplifiers have kernels too small for the second, and 8-bit activations
            change the sound too much.
        calibration: ``(samples,)`` floats of playing, as the amplifier will get them: for ``"int16x8"`` and
            ``"int8"``, whose ranges come from it; what is louder later is cut off.

    Returns:
        The report.

    Raises:
        InputError: Another model, suffix, block or quantization, or a file that cannot be written.
        ParityError: The file does not compute what the model computes; a quantized one may differ by an
            error-to-signal ratio of 0.01, on the calibration where there is one.
    """
    from zoo.export.blocks.writer import End, Ends, Told, to_onnx, to_tflite
    from zoo.sequence.nam.network import in_blocks
    from zoo.sequence.processing import checked_block, checked_sound

    path, block = check_local(path), checked_block(block)
    check_target(path, SUFFIXES)
    said = _described(model, block)
    sound_given = None if calibration is None else checked_sound(calibration)
    quantizing.check(quantize, path.suffix, sound_given, said.sample_rate)
    sound, state = End((1, block, 1)), End((1, said.state))
    ends = Ends(taken={SAMPLES: sound, STATE: state}, given={OUTPUT: sound, NEXT_STATE: state})
    told = Told(key=KEY, text=said.to_json(), title=f"{said.model}: blocks of {block} samples")
    blocks = in_blocks(model, block=block)
    if path.suffix == ".onnx":
        content = to_onnx(blocks, ends, told)
    else:
        given = None if sound_given is None else quantizing.blocks_of(model, sound_given, block)
        content = to_tflite(blocks, ends, told, quantize=quantize, calibration=given)
    measure = functools.partial(_measured, model=model, path=path, content=content, sound=sound_given)
    return put(path, content, lambda work: measure(open_blocks(work), quantize=quantize))


def _described(model: keras.Model, block: int) -> BlockDescription:
    from zoo.sequence.nam.network import network_of, sample_rate_of

    network = network_of(model)
    return BlockDescription(
        model="wavenet_nam",
        task="amplifier",
        block=block,
        state=network.state,
        receptive_field=network.receptive_field,
        sample_rate=sample_rate_of(model),
        source=dict(model.layers[-1].metadata),
    )


def _measured(
    artifact: BlockArtifact,
    *,
    model: keras.Model,
    path: Path,
    content: bytes,
    sound: np.ndarray | None,
    quantize: str | None,
) -> BlockReport:
    from zoo.sequence.processing import process

    probe = probe_sound(HOPS * artifact.block) if sound is None else sound
    expected, found = process(model, probe), process(artifact, probe)
    difference = found.astype(np.float64) - expected
    signal = float(np.square(expected, dtype=np.float64).sum()) or 1.0
    report = BlockReport(
        path=str(path),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        description=artifact.description,
        operations=artifact.operations(),
        hops=-(-len(probe) // artifact.block),
        max_error=float(np.abs(difference).max() / (np.abs(expected).max() or 1.0)),
        esr=float(np.square(difference).sum() / signal),
        version=__version__,
        quantize=quantize,
    )
    if quantize is not None:
        quantizing.require(quantize, artifact.weights(), report.esr, path.name)
    elif not report.max_error <= MAX_ERROR:
        raise ParityError(
            f"{path.name} is off by {report.max_error:.2g} of the loudest sample; at most {MAX_ERROR:g}"
        )
    return report
