"""WAV files by hand, whose headers say what they like."""

import struct

import numpy as np

PCM = np.array([0, 16384, -16384, 32767], "<i2").tobytes()
BYTES = bytes([128, 192, 64, 255])
WIDE = b"\0\0\0\0\0\x40\0\0\xc0\xff\xff\x7f"
FLOATS = np.array([0, 0.5, -0.5, 1], "<f4").tobytes()
EXTENSIBLE, UNKNOWN = 0xFFFE, 0xFFFFFFFF


def chunk(name, data, *, claimed=None, padded=True):
    size = len(data) if claimed is None else claimed
    return name + struct.pack("<I", size) + data + (b"\0" if len(data) % 2 and padded else b"")


def riff(*chunks, size=None, form=b"RIFF"):
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def fmt(kind=1, *, channels=1, rate=48000, bits=16, align=None, extra=b""):
    block = channels * bits // 8 if align is None else align
    words = kind, channels, rate, rate * block & UNKNOWN, block, bits
    return chunk(b"fmt ", struct.pack("<HHIIHH", *words) + extra)


def extensible(kind, bits):
    """The words of WAVE_FORMAT_EXTENSIBLE."""
    identity = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<HHI", 22, bits, 4) + identity


def rf64(sizes):
    told = b"" if sizes is None else chunk(b"ds64", struct.pack("<QQQI", *sizes, 0))
    return riff(told, fmt(), b"data" + struct.pack("<I", UNKNOWN) + PCM, size=UNKNOWN, form=b"RF64")


def big_endian():
    words = struct.pack(">IHHIIHH", 16, 1, 1, 48000, 96000, 2, 16)
    data = np.frombuffer(PCM, "<i2").astype(">i2").tobytes()
    return b"RIFX" + struct.pack(">I", 44) + b"WAVEfmt " + words + b"data" + struct.pack(">I", 8) + data
