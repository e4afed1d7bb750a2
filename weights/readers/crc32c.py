"""CRC-32C (Castagnoli), by which TensorFlow's files check themselves, in NumPy: many stretches at once."""

from __future__ import annotations

import functools
from math import isqrt

import numpy as np

_POLYNOMIAL = 0x82F63B78  # of RFC 3720, appendix B.4, bits reversed
_FEW = 4096  # bytes that are not worth stretches
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


@functools.cache
def _table() -> np.ndarray:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> 1) ^ np.where(values & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return values


@functools.cache
def _rows() -> list[int]:
    return _table().tolist()


def _stepped(state: int, data: bytes) -> int:
    table = _rows()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def _over_zeros(length: int) -> list[list[int]]:
    """What `length` zero bytes make of a state, by its four bytes: the register is linear."""
    states = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for _ in range(length):
        states = _table()[states & 0xFF] ^ (states >> 8)
    tables = []
    for byte in range(4):
        row = np.zeros(256, np.uint32)
        for bit in range(8):
            chosen = (np.arange(256) >> bit) & 1 == 1
            row[chosen] ^= states[8 * byte + bit]
        tables.append(row.tolist())
    return tables


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of some bytes; a few hundred megabytes take seconds."""
    if len(data) <= _FEW:
        return _stepped(0xFFFF_FFFF, bytes(data)) ^ 0xFFFF_FFFF
    length = isqrt(len(data)) // 2
    lanes = len(data) // length
    columns = np.frombuffer(data, np.uint8, lanes * length).reshape(lanes, length).T
    states = np.zeros(lanes, np.uint32)
    states[0] = 0xFFFF_FFFF
    for column in columns:
        states = _table()[(states ^ column) & 0xFF] ^ (states >> 8)
    first, second, third, fourth = _over_zeros(length)
    state = 0
    for lane in states.tolist():
        state = first[state & 255] ^ second[state >> 8 & 255] ^ third[state >> 16 & 255] ^ fourth[state >> 24]
        state ^= lane
    return _stepped(state, bytes(data[lanes * length :])) ^ 0xFFFF_FFFF


def masked(checksum: int) -> int:
    """As it is stored beside the data, so that a checksum of checksums is none of zeros."""
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFF_FFFF
