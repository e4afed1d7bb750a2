"""Dilated convolutions in one dimension: models of sequences, whole and block by block."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zoo.sequence.table import SEQUENCE_MODELS, SequenceSpec

if TYPE_CHECKING:
    from zoo.sequence.block_form import in_blocks
    from zoo.sequence.bytenet import ByteNetConfig, build_bytenet
    from zoo.sequence.bytenet_blocks import BlockConfig
    from zoo.sequence.bytenet_steps import ByteNetSteps
    from zoo.sequence.bytenet_tokens import TokenNetConfig, build_token_net
    from zoo.sequence.carp.loading import Protein, embed_proteins
    from zoo.sequence.convolution import DilatedConv1D
    from zoo.sequence.digits.recordings import SPEAKERS
    from zoo.sequence.generation import Generated
    from zoo.sequence.keras_stream import KerasStream
    from zoo.sequence.nam.network import initial_state
    from zoo.sequence.nam.reader import NamModel, read_nam
    from zoo.sequence.processing import process
    from zoo.sequence.sampling import WaveNetSteps, generate_codes
    from zoo.sequence.transcription import transcribe
    from zoo.sequence.wavenet import WaveNetConfig, build_wavenet

_HOMES = {
    "BlockConfig": "zoo.sequence.bytenet_blocks",
    "ByteNetConfig": "zoo.sequence.bytenet",
    "ByteNetSteps": "zoo.sequence.bytenet_steps",
    "DilatedConv1D": "zoo.sequence.convolution",
    "Generated": "zoo.sequence.generation",
    "KerasStream": "zoo.sequence.keras_stream",
    "Protein": "zoo.sequence.carp.loading",
    "NamModel": "zoo.sequence.nam.reader",
    "SPEAKERS": "zoo.sequence.digits.recordings",
    "TokenNetConfig": "zoo.sequence.bytenet_tokens",
    "WaveNetConfig": "zoo.sequence.wavenet",
    "WaveNetSteps": "zoo.sequence.sampling",
    "build_bytenet": "zoo.sequence.bytenet",
    "build_token_net": "zoo.sequence.bytenet_tokens",
    "build_wavenet": "zoo.sequence.wavenet",
    "embed_proteins": "zoo.sequence.carp.loading",
    "in_blocks": "zoo.sequence.block_form",
    "generate_codes": "zoo.sequence.sampling",
    "initial_state": "zoo.sequence.nam.network",
    "process": "zoo.sequence.processing",
    "read_nam": "zoo.sequence.nam.reader",
    "transcribe": "zoo.sequence.transcription",
}

__all__ = [
    "SEQUENCE_MODELS",
    "SPEAKERS",
    "BlockConfig",
    "ByteNetConfig",
    "ByteNetSteps",
    "DilatedConv1D",
    "Generated",
    "KerasStream",
    "NamModel",
    "Protein",
    "SequenceSpec",
    "TokenNetConfig",
    "WaveNetConfig",
    "WaveNetSteps",
    "build_bytenet",
    "build_token_net",
    "build_wavenet",
    "embed_proteins",
    "generate_codes",
    "in_blocks",
    "initial_state",
    "process",
    "read_nam",
    "transcribe",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zoo.sequence' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
