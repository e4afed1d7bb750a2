"""Kernels of a Core ML program: as they are, as 8-bit numbers with a scale per filter, or as palettes."""

from __future__ import annotations

import numpy as np

from zoo.export.coreml.palettes import packed, palette
from zoo.export.coreml.tools import Builder as mb

# Kernels with fewer weights cost nothing, and lose most: a table is as large.
_SMALLEST = 1024
_LARGEST_BYTE = 127


class Kernels:
    """Makes weights of arrays.

    Attributes:
        kind: A key of `zoo.export.core.kinds.KINDS`, or `None` for float32.
        bits: Widest index of a palette.
    """

    def __init__(self, *, kind: str | None, bits: int):
        self.kind, self.bits = kind, bits

    def variable(self, kernel: np.ndarray, *, name: str):
        """What a convolution takes as its weights ``(filters, channels, rows, columns)``."""
        kernel = np.ascontiguousarray(kernel, np.float32)
        if self.kind not in _STORED or kernel.size < _SMALLEST:
            return kernel
        return _STORED[self.kind](kernel, name, self.bits)


def _bytes(kernel: np.ndarray, name: str, bits: int):
    largest = np.abs(kernel).max(axis=(1, 2, 3))
    # A filter of zeros has any scale.
    scale = np.where(largest > 0, largest / _LARGEST_BYTE, 1).astype(np.float32)
    stored = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
    return mb.constexpr_affine_dequantize(
        quantized_data=stored, zero_point=np.int8(0), scale=scale, axis=0, name=name
    )


def _palette(kernel: np.ndarray, name: str, bits: int):
    # Channels of a depthwise kernel differ in scale: one table for all of them serves only the large ones.
    if kernel.shape[1] == 1 and len(np.unique(kernel)) > 1 << bits:
        return kernel
    table, indices, width = palette(kernel, bits=bits)
    return mb.constexpr_lut_to_dense(
        lut=table,
        indices=packed(indices, width=width),
        shape=np.asarray(kernel.shape, np.uint32),
        name=name,
    )


_STORED = {"weights8": _bytes, "palette": _palette}
