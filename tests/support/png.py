"""PNG files of every type that the format has, written byte by byte; no library writes them all."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _packed(row: np.ndarray, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    text = "".join(format(int(value), f"0{bits}b") for value in row)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def png(
    values: np.ndarray,
    *,
    bits: int,
    kind: int,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
    level: int = zlib.Z_DEFAULT_COMPRESSION,
) -> bytes:
    """The file of samples ``(height, width)`` or ``(height, width, channels)``.

    At level 0 every zlib writes the same bytes.
    """
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + _packed(row, bits) for row in values.reshape(height, -1))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows, level)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def every_png(size: tuple[int, int], *, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Names and contents: each bit depth and type of colour, without and with a transparent colour."""
    rng = np.random.default_rng(seed)

    def draw(bits, *channels):
        return rng.integers(0, 2**bits, (*size, *channels))

    for bits in (1, 2, 4, 8, 16):
        values = draw(bits)
        yield f"grey{bits}", png(values, bits=bits, kind=_GREY)
        transparent = ((b"tRNS", struct.pack(">H", int(values[0, 0]))),)
        yield f"grey{bits}_transparent", png(values, bits=bits, kind=_GREY, chunks=transparent)
    for bits in (1, 2, 4, 8):
        palette = ((b"PLTE", bytes(rng.integers(0, 256, 3 * 2**bits).astype(np.uint8))),)
        alphas = ((b"tRNS", bytes(rng.integers(0, 256, 2**bits).astype(np.uint8))),)
        yield f"palette{bits}", png(draw(bits), bits=bits, kind=_PALETTE, chunks=palette)
        yield (
            f"palette{bits}_transparent",
            png(draw(bits), bits=bits, kind=_PALETTE, chunks=palette + alphas),
        )
    for bits in (8, 16):
        yield f"rgb{bits}", png(draw(bits, 3), bits=bits, kind=_RGB)
        for name, kind, channels in (("grey", _GREY_ALPHA, 2), ("rgb", _RGB_ALPHA, 4)):
            values = draw(bits, channels)
            # Mostly all or nothing, as transparency is; a band of any values is asked about.
            plain = rng.random(size) < 0.75
            values[plain, -1] = (2**bits - 1) * rng.integers(0, 2, plain.sum())
            yield f"{name}_alpha{bits}", png(values, bits=bits, kind=kind)
