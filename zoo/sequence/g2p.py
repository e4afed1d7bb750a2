"""The bundled network of spelling to sound."""

from __future__ import annotations

from zoo.sequence.bytenet import ByteNetConfig
from zoo.sequence.bytenet_blocks import BlockConfig
from zoo.sequence.phones import SOURCE_SYMBOLS, TARGET_SYMBOLS

# CMUdict has 7 pronunciations that are longer than the bound, of 133,971.
G2P = ByteNetConfig(
    source=SOURCE_SYMBOLS,
    target=TARGET_SYMBOLS,
    blocks=BlockConfig(width=192, hidden=96, kernel=3),
    encoder_rates=(1, 2, 4, 8, 1, 2, 4),
    decoder_rates=(1, 2, 4, 1, 2),
    slope=1.5,
    offset=7,
)
