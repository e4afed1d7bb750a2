"""Windows over an image that blend into each other, in memory that does not grow with the image's height.

Each window counts where it sees enough around a pixel: its borders, where the network sees less, have no
weight, and between two windows the probabilities pass from one to the other over a ramp in the middle of what
both see. What of an image is finished is handed on at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from zoo.inference.viewer import Viewer

OVERLAP = 4  # neighbouring windows share at least a quarter of their side
_RAMP = 16  # and pass into each other over a sixteenth of it at least
_FINEST = 32  # windows begin at multiples of the stride of every network of the zoo
SEAM_BYTES = 1 << 25  # of the rows that wait for the windows below them

# A part of an image and its probabilities: first row, first column, (rows, columns, classes) float32.
Piece = tuple[int, int, np.ndarray]
# Rows of an image ``(stop - start, width, 3)`` in 0…255, for ``(start, stop)`` that do not go back.
Rows = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Span:
    """A window along one axis.

    Attributes:
        start: Where it begins.
        stop: Where it ends.
        first: Where it begins to count.
        weights: ``(n,)`` float32 of the pixels from `first` on; those of all windows sum to 1 at every pixel.
        shared: So many of the first ones are shared with the window before.
        finished: So many are not shared with the next.
    """

    start: int
    stop: int
    first: int
    weights: np.ndarray
    shared: int
    finished: int

    @property
    def used(self) -> slice:
        """What counts, as seen from the window's beginning."""
        return slice(self.first - self.start, self.first - self.start + len(self.weights))


def pieces(
    viewer: Viewer,
    rows_of: Rows,
    size: tuple[int, int],
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> Iterator[Piece]:
    """Probabilities of every pixel once, in pieces of about a window, row by row of windows.

    Args:
        viewer: What sees a window.
        rows_of: Gives rows of the image.
        size: Height and width of the image.
        window: Height and width of what the model sees at once; where it takes any size, a few pixels less
            are used, so that windows lie alike on the model's grid.
        scales: As for `zoo.segment`.
        flip: As for `zoo.segment`.
    """
    how = {"scales": scales, "flip": flip}
    if all(side >= length for side, length in zip(window, size, strict=True)):
        yield 0, 0, _window_probabilities(viewer, rows_of(0, size[0]), window=window, **how)
        return
    classes = len(viewer.labels)
    most = max(1, SEAM_BYTES // (4 * classes * size[1]))
    rows, columns = grid(viewer, size, window, most=most)
    fixed = viewer.size
    seen = fixed[0] or rows[0].stop - rows[0].start, fixed[1] or columns[0].stop - columns[0].start
    seam = np.zeros((max(row.shared for row in rows), size[1], classes), np.float32)
    for row in rows:
        strip, beside = rows_of(row.start, row.stop), None
        for column in columns:
            part = strip[:, column.start : column.stop]
            found = _window_probabilities(viewer, part, window=seen, **how)[row.used, column.used]
            found *= (row.weights[:, None] * column.weights)[..., None]
            if beside is not None:
                found[:, : column.shared] += beside
            beside, found = found[:, column.finished :].copy(), found[:, : column.finished]
            below = seam[:, column.first : column.first + column.finished]
            found[: row.shared] += below[: row.shared]
            below[: len(found) - row.finished] = found[row.finished :]
            yield row.first, column.first, found[: row.finished]
            del found  # before the next window takes its memory


def grid(
    viewer: Viewer, size: tuple[int, int], window: tuple[int, int], *, most: int
) -> tuple[list[Span], list[Span]]:
    """Windows along the rows and along the columns of an image; `most` rows of a ramp fit into memory."""
    fixed = viewer.size
    reach = viewer.reach
    rows, columns = (
        spans(
            length,
            side,
            margin=margin,
            most=limit,
            grid=1 if built else min(_FINEST, _power_below(side // 8)),
        )
        for length, side, margin, limit, built in zip(
            size, window, reach, (most, size[1]), fixed, strict=True
        )
    )
    return rows, columns


def _power_below(number: int) -> int:
    return 1 << max(0, number.bit_length() - 1)


def spans(length: int, window: int, *, margin: int = 0, most: int, grid: int = 1) -> list[Span]:
    """Evenly spaced windows along one axis.

    Args:
        length: Of the axis.
        window: Of a window.
        margin: Pixels that a network looks at on either side of one, 0 if that is not known; where the
            overlap can have as many on both sides of its ramp in half a window, it does.
        most: The largest ramp.
        grid: All windows but the first begin at a multiple of it, and are as long as the axis modulo it.
    """
    if window >= length:
        return [Span(0, length, 0, np.ones(length, np.float32), 0, length)]
    window -= (window - length) % grid
    ramp, overlap = window // _RAMP, window // OVERLAP
    if margin and 2 * margin + ramp <= window // 2:
        overlap = max(overlap, 2 * margin + ramp)
    else:
        ramp = overlap // 2  # what two windows find differs, and the change from one to the other is gradual
    ramp = min(ramp, most)
    count = math.ceil((length - window) / max(1, window - overlap - grid + 1)) + 1
    starts = [int(s) // grid * grid for s in np.linspace(0, length - window, count).round()]
    return _weighted(starts, window, length, ramp)


def _weighted(starts: list[int], window: int, length: int, ramp: int) -> list[Span]:
    """The windows with their weights: ramps in the middle of what two neighbours share."""
    shared = [before + window - after for before, after in itertools.pairwise(starts)]
    ramps = [min(ramp, both) for both in shared]
    begins = [after + (both - r) // 2 for after, both, r in zip(starts[1:], shared, ramps, strict=True)]
    found = []
    for index, start in enumerate(starts):
        before = ramps[index - 1] if index else 0
        after = ramps[index] if index < len(ramps) else 0
        first = begins[index - 1] if index else 0
        end = begins[index] + after if index < len(ramps) else length
        weights = np.ones(end - first, np.float32)
        weights[:before] = _rising(before)
        weights[len(weights) - after :] = 1 - _rising(after)
        found.append(Span(start, start + window, first, weights, before, end - first - after))
    return found


def _rising(count: int) -> np.ndarray:
    return (np.arange(1, count + 1) / (count + 1)).astype(np.float32)


def _window_probabilities(
    viewer: Viewer,
    pixels: np.ndarray,
    *,
    window: tuple[int, int],
    scales: tuple[float, ...],
    flip: bool,
) -> np.ndarray:
    """Probabilities ``(height, width, classes)`` of an image that the model sees at once."""
    height, width = pixels.shape[:2]
    missing = [max(0, w - n) for w, n in zip(window, (height, width), strict=True)]
    if any(missing):
        pixels = np.pad(pixels, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    total = viewer.probabilities(pixels, scales=scales, flip=flip)
    return total[:height, :width]
