"""Exports to SavedModel, TFLite, ONNX and Core ML that are proven equal to their model.

Importing this package loads no TensorFlow, and neither does running a TFLite or an ONNX artifact.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.export.blocks.artifact import BlockArtifact, open_blocks
    from zoo.export.blocks.publish import BlockReport, to_blocks
    from zoo.export.blocks.speaker import SpeakerArtifact, open_speaker
    from zoo.export.blocks.to_speaker import SpeakerReport, to_speaker
    from zoo.export.core.artifact import Artifact, Port
    from zoo.export.core.operation_times import OperationTable, OperationTime
    from zoo.export.core.quantization import FloatOperation, Quantization
    from zoo.export.deploy import Rewrite
    from zoo.export.exports import to_coreml, to_onnx, to_saved_model, to_tflite
    from zoo.export.formats import Format
    from zoo.export.general import to_format
    from zoo.export.opening import open_artifact
    from zoo.export.proof.layer_search import FirstDifference
    from zoo.export.proof.noisiest_layer import NoisiestLayer
    from zoo.export.proof.parity import Parity
    from zoo.export.proof.quantized_parity import QuantizedParity
    from zoo.export.report import ExportReport
    from zoo.export.timing.bench import bench
    from zoo.export.timing.measurement import Bench, Timing
    from zoo.export.transcriber.artifact import Transcriber, open_transcriber
    from zoo.export.transcriber.publish import TranscriberReport, to_transcriber
    from zoo.export.verification import find_difference, verify

_HOMES = {
    "Artifact": "zoo.export.core.artifact",
    "Bench": "zoo.export.timing.measurement",
    "BlockArtifact": "zoo.export.blocks.artifact",
    "BlockReport": "zoo.export.blocks.publish",
    "ExportReport": "zoo.export.report",
    "FirstDifference": "zoo.export.proof.layer_search",
    "FloatOperation": "zoo.export.core.quantization",
    "Format": "zoo.export.formats",
    "NoisiestLayer": "zoo.export.proof.noisiest_layer",
    "OperationTable": "zoo.export.core.operation_times",
    "OperationTime": "zoo.export.core.operation_times",
    "Parity": "zoo.export.proof.parity",
    "Port": "zoo.export.core.artifact",
    "Quantization": "zoo.export.core.quantization",
    "QuantizedParity": "zoo.export.proof.quantized_parity",
    "Rewrite": "zoo.export.deploy",
    "Timing": "zoo.export.timing.measurement",
    "Transcriber": "zoo.export.transcriber.artifact",
    "TranscriberReport": "zoo.export.transcriber.publish",
    "bench": "zoo.export.timing.bench",
    "find_difference": "zoo.export.verification",
    "open_artifact": "zoo.export.opening",
    "open_blocks": "zoo.export.blocks.artifact",
    "open_speaker": "zoo.export.blocks.speaker",
    "open_transcriber": "zoo.export.transcriber.artifact",
    "SpeakerArtifact": "zoo.export.blocks.speaker",
    "SpeakerReport": "zoo.export.blocks.to_speaker",
    "to_speaker": "zoo.export.blocks.to_speaker",
    "to_blocks": "zoo.export.blocks.publish",
    "to_coreml": "zoo.export.exports",
    "to_format": "zoo.export.general",
    "to_onnx": "zoo.export.exports",
    "to_saved_model": "zoo.export.exports",
    "to_tflite": "zoo.export.exports",
    "to_transcriber": "zoo.export.transcriber.publish",
    "verify": "zoo.export.verification",
}

__all__ = [
    "Artifact",
    "Bench",
    "BlockArtifact",
    "BlockReport",
    "ExportReport",
    "FirstDifference",
    "FloatOperation",
    "Format",
    "NoisiestLayer",
    "OperationTable",
    "OperationTime",
    "Parity",
    "Port",
    "Quantization",
    "QuantizedParity",
    "Rewrite",
    "SpeakerArtifact",
    "SpeakerReport",
    "Timing",
    "Transcriber",
    "TranscriberReport",
    "bench",
    "find_difference",
    "open_artifact",
    "open_blocks",
    "open_speaker",
    "open_transcriber",
    "to_blocks",
    "to_coreml",
    "to_format",
    "to_onnx",
    "to_saved_model",
    "to_speaker",
    "to_tflite",
    "to_transcriber",
    "verify",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
