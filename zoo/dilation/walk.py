"""The counts of paths, handed backwards from one layer of a model to its image."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.dilation.steps import Step, Window, data_inputs, edge_kind, is_named, shift_of, windows_of
from zoo.errors import InputError

MAX_CELLS = 2**24
# A pooling window from here on, read back through an enlargement, is a pyramid's context and not a
# step of an encoder, whose windows have 2 or 3 cells.
CONTEXT_WINDOW = 4
_ONE_CELL = (Window(), Window())  # rows and columns


class Walk:
    """Hands the counts of `start` to every step before it, up to `root`.

    Attributes:
        maps: Counts and the position of ``counts[0, 0]``, for the steps not yet passed, `root` and the image.
        strides: Cells of a step's output from one position of `start` to the next.
        edges: The (step, input) pairs that counts have gone through.
        context: Names of the layers that pool.
        assumed: Names of the layers that were taken to be pointwise.
    """

    def __init__(self, steps: list[Step], start: int, root: int):
        self.steps, self.start, self.root = steps, start, root
        self.maps = {start: (np.ones((1, 1)), (0, 0))}
        self.strides = {start: (1, 1)}
        self.edges: set[tuple[int, int]] = set()
        self.context: list[str] = []
        self.assumed: list[str] = []
        # Steps whose values are spread over a map: the layer that spreads them, and the step that it reads.
        self._spread: dict[int, tuple[str, int]] = {}

    def run(self) -> None:
        """Pass all counts on, the last step first."""
        for index in range(self.start, -1, -1):
            if index in self._spread:
                self._pass_spread(index)
            if index in self.maps and not self._is_end(index):
                self._pass_counts(index)

    def _is_end(self, index: int) -> bool:
        return index == self.root or self.steps[index].layer is None or self.steps[index].is_image

    def _pass_spread(self, index: int) -> None:
        """Looks for the pooling behind an enlarged map; without one the way back is lost."""
        step, (name, enlarged) = self.steps[index], self._spread[index]
        if step.is_image:
            raise EnlargedError(name, enlarged)
        for source in data_inputs(step) if step.layer is not None else ():
            kind = edge_kind(step, self.steps[source].size)
            if kind == "window":
                rows, columns = windows_of(step.layer, self.steps[source].size)
                if hasattr(step.layer, "pool_size") and min(rows.taps, columns.taps) >= CONTEXT_WINDOW:
                    kind = "collapse"
                elif max(rows.stride, columns.stride) > 1:
                    raise EnlargedError(name, enlarged)
            if kind == "collapse":
                self.context.append(step.name)
            else:
                self._spread[source] = name, enlarged

    def _pass_counts(self, index: int) -> None:
        step = self.steps[index]
        counts, origin = self.maps.pop(index)
        for source in data_inputs(step):
            size = self.steps[source].size
            kind = edge_kind(step, size)
            if kind == "collapse":
                self.context.append(step.name)
            elif kind == "enlarge":
                self._spread[source] = step.name, source
            elif kind == "window":
                self._add(index, source, counts, origin, windows_of(step.layer, size))
            else:
                ahead = shift_of(step, size) if kind == "shift" else (0, 0)
                moved = origin[0] - ahead[0], origin[1] - ahead[1]
                self._add(index, source, counts, moved)
                if kind == "pointwise" and _is_foreign(step.layer):
                    self.assumed.append(step.name)

    def _add(self, index, source, counts, origin, windows=_ONE_CELL) -> None:
        """Adds counts to those of `source`, which other branches may have reached before."""
        stride = tuple(
            above * window.stride for above, window in zip(self.strides[index], windows, strict=True)
        )
        counts, origin = _through(counts, origin, windows)
        if self.strides.setdefault(source, stride) != stride:
            raise InputError(
                f"branches of strides {self.strides[source]} and {stride} meet at layer "
                f"{self.steps[source].name!r}; start from a layer before they join"
            )
        if counts.size > MAX_CELLS:
            raise InputError(
                f"a map has at most {MAX_CELLS} cells; the receptive field at layer "
                f"{self.steps[source].name!r} has more"
            )
        if source in self.maps:
            counts, origin = _sum_maps(self.maps[source], (counts, origin))
        self.maps[source] = counts, origin
        self.edges.add((index, source))


class EnlargedError(InputError):
    """A layer on the way back enlarges a map; `enlarged` is the step whose map that is."""

    def __init__(self, name: str, enlarged: int):
        super().__init__(
            f"layer {name!r} enlarges its map, and the way back through it is not followed; "
            "name a layer before it"
        )
        self.enlarged = enlarged


class _Trial(Walk):
    """Goes the same ways without counting."""

    def _add(self, index, source, counts, origin, windows=_ONE_CELL) -> None:
        self.maps[source] = counts, origin


def before_decoder(steps: list[Step], start: int) -> int:
    """The step from which every way back can be followed: `start`, or that whose map a decoder enlarges."""
    while True:
        try:
            _Trial(steps, start, root=0).run()
        except EnlargedError as error:
            start = error.enlarged
        else:
            return start


def _is_foreign(layer: Any) -> bool:
    """Whether Keras gives no word on what the layer does."""
    return not type(layer).__module__.startswith("keras.") or is_named(layer, ("lambda",))


def _through(counts: np.ndarray, origin: tuple[int, int], windows: tuple) -> tuple:
    """The counts and the origin on the input of a layer, from those on its output."""
    for axis, window in enumerate(windows):
        counts = _unfold(counts, window, axis)
    moved = tuple(
        window.stride * first - window.before for first, window in zip(origin, windows, strict=True)
    )
    return counts, moved


def _unfold(counts: np.ndarray, window: Window, axis: int) -> np.ndarray:
    """Spreads counts along one axis to every cell that the window reads."""
    if window.taps == window.stride == 1:
        return counts
    counts = np.moveaxis(counts, axis, 0)
    span = (len(counts) - 1) * window.stride + 1
    reach = window.rate * (window.taps - 1)
    spread = np.zeros((span + reach, *counts.shape[1:]))
    for tap in range(window.taps):
        first = tap * window.rate
        spread[first : first + span : window.stride] += counts
    return np.moveaxis(spread, 0, axis)


def _sum_maps(one: tuple, other: tuple) -> tuple[np.ndarray, tuple[int, int]]:
    """Adds two maps of counts that begin at different positions."""
    maps = (one, other)
    first = tuple(min(origin[axis] for _, origin in maps) for axis in (0, 1))
    last = [max(origin[axis] + counts.shape[axis] for counts, origin in maps) for axis in (0, 1)]
    total = np.zeros((last[0] - first[0], last[1] - first[1]))
    for counts, origin in maps:
        row, column = origin[0] - first[0], origin[1] - first[1]
        total[row : row + counts.shape[0], column : column + counts.shape[1]] += counts
    return total, first
