"""The band of pixels near class borders."""

from __future__ import annotations

import numpy as np

from zoo.errors import InputError


def boundary_band(mask: np.ndarray, *, distance: int) -> np.ndarray:
    """The pixels within `distance` of a border between two labels.

    That is where a pixel of another label lies at most `distance` rows and at most `distance` columns away.
    The ignore label is a label like the others, since some data sets (PASCAL VOC) ignore the very borders;
    the frame of the image is no border. Intersection over union in this band is the trimap measure of Kohli
    et al. 2009 (section 5), which Chen et al. 2018 (DeepLab, section 4.3) plot over the band's width.

    Args:
        mask: ``(height, width)`` integers.
        distance: In pixels, at least 1; at 1 the band is two pixels wide along a straight border.

    Returns:
        bool ``(height, width)``.

    Raises:
        InputError: No mask, or another distance.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size or mask.dtype.kind not in "iu":
        raise InputError(f"a mask is a (height, width) array of integers, not {mask.shape} {mask.dtype}")
    if isinstance(distance, bool) or not isinstance(distance, int | np.integer) or distance < 1:
        raise InputError(f"distance must be a positive integer, not {distance!r}")
    low = high = mask
    for axis in (0, 1):
        low = _running(np.minimum, low, distance, axis)
        high = _running(np.maximum, high, distance, axis)
    return low != high


def _running(function: np.ufunc, mask: np.ndarray, distance: int, axis: int) -> np.ndarray:
    """`function` over the window of ``2 · distance + 1`` pixels around every pixel along one axis."""
    result, length = mask.copy(), mask.shape[axis]
    source, target = np.moveaxis(mask, axis, 0), np.moveaxis(result, axis, 0)
    for step in range(1, min(distance, length - 1) + 1):
        function(target[step:], source[:-step], out=target[step:])
        function(target[:-step], source[step:], out=target[:-step])
    return result
