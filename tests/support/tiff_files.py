"""TIFF files with the tags that a test asks for, written byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_SHORT, _LONG = 3, 4


def tiff(samples: np.ndarray, *, photometric=1, kind=1, extra=(), planes=False) -> bytes:
    """An uncompressed little-endian file of ``(height, width, bands)`` numbers.

    With `planes` the bands lie one behind the other.
    """
    height, width, bands = samples.shape
    content, bits = (np.moveaxis(samples, -1, 0) if planes else samples).tobytes(), 8 * samples.dtype.itemsize
    parts = bands if planes else 1
    size = len(content) // parts
    entries = [(256, _LONG, [width]), (257, _LONG, [height]), (258, _SHORT, [bits] * bands)]
    entries += [(259, _SHORT, [1]), (262, _SHORT, [photometric])]
    entries += [(273, _LONG, [8 + part * size for part in range(parts)]), (277, _SHORT, [bands])]
    entries += [(278, _LONG, [height]), (279, _LONG, [size] * parts)]
    entries += [(284, _SHORT, [2])] if planes else []
    entries += [(338, _SHORT, list(extra))] if extra else []
    entries += [(339, _SHORT, [kind] * bands)]
    start = 8 + len(content)
    behind, rows, tail = start + 2 + 12 * len(entries) + 4, b"", b""
    for tag, type_, values in entries:
        packed = struct.pack("<" + {_SHORT: "H", _LONG: "I"}[type_] * len(values), *values)
        if len(packed) > 4:
            rows += struct.pack("<HHII", tag, type_, len(values), behind + len(tail))
            tail += packed
        else:
            rows += struct.pack("<HHI", tag, type_, len(values)) + packed.ljust(4, b"\0")
    header = struct.pack("<2sHI", b"II", 42, start)
    return header + content + struct.pack("<H", len(entries)) + rows + bytes(4) + tail


def write_tiff(path: Path, samples: np.ndarray, *, photometric=1, kind=1, extra=()) -> None:
    """`tiff` as a file."""
    path.write_bytes(tiff(samples, photometric=photometric, kind=kind, extra=extra))
