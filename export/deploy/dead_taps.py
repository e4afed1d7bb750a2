"""Taps of a kernel that, at this size of the map, see only padding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from zoo.export.deploy.convolutions import Convolution, convolution
from zoo.export.deploy.graph import Graph
from zoo.export.deploy.result import Result


@dataclass(frozen=True)
class _Axis:
    """A convolution along one axis; `before` zeros stand ahead of a map of `length` cells."""

    length: int
    outputs: int
    taps: int
    rate: int
    stride: int
    before: int

    @property
    def span(self) -> int:
        """Cells from the first that any output reads to the last."""
        return (self.outputs - 1) * self.stride + (self.taps - 1) * self.rate + 1

    def is_dead(self, tap: int) -> bool:
        """Whether that tap reads zeros at every output."""
        first = tap * self.rate - self.before
        return all(not 0 <= first + step * self.stride < self.length for step in range(self.outputs))

    def cut(self) -> tuple[int, _Axis]:
        """The axis without dead taps at its ends, and how many went from its beginning."""
        alive = [tap for tap in range(self.taps) if not self.is_dead(tap)]
        if len(alive) in (0, self.taps):
            return 0, self
        first, taps = alive[0], alive[-1] - alive[0] + 1
        rate = self.rate if taps > 1 else 1
        return first, replace(self, taps=taps, rate=rate, before=self.before - first * self.rate)

    def is_same(self) -> bool:
        """Whether TensorFlow's SAME padding gives these windows."""
        missing = max(self.span - self.length, 0)
        return self.outputs == -(-self.length // self.stride) and self.before == missing // 2

    def is_valid(self) -> bool:
        """Whether these windows are those without padding."""
        rest = self.length - self.span  # a whole stride more would be one more output
        return self.before == 0 and 0 <= rest < self.stride


def _axis(known: Convolution, index: int, length: int) -> _Axis:
    taps, rate, stride = known.kernel_size[index], known.rates[index], known.strides[index]
    reach = (taps - 1) * rate
    if known.padding == "valid":
        before, outputs = 0, (length - reach - 1) // stride + 1
    elif known.padding == "symmetric" and stride > 1:
        before = (taps - 1) // 2
        outputs = (length + 2 * before - taps) // stride + 1
    else:
        outputs = -(-length // stride)
        before = max((outputs - 1) * stride + reach + 1 - length, 0) // 2
    return _Axis(length, outputs, taps, rate, stride, before)


def drop_dead_taps(graph: Graph) -> Result:
    """Cut from every kernel the outer taps that see only padding, where the sizes of maps are known.

    On a map of 17×17 a 3×3 kernel at rate 18 is a 1×1 kernel (Chen et al. 2017, section 3.3 and figure 4).
    A tap that sees a strip of the map, however narrow, stays.
    """
    changed, notes, saved = {}, [], {"taps": 0, "parameters": 0, "multiply_adds": 0}
    for key, node in graph.walk():
        known = convolution(node.unit) if node.plain else None
        shape = graph.shapes[node.inputs[0]] if known else ()
        if known is None or known.padding == "valid" or None in shape[1:]:
            continue
        axes = [_axis(known, index, length) for index, length in enumerate(shape[1:3])]
        firsts, cut = zip(*(axis.cut() for axis in axes), strict=True)
        smaller = _rewritten(known, cut, firsts) if cut != tuple(axes) else None
        if smaller is None:
            continue
        changed[key] = replace(node, unit=smaller.to_unit())
        taps = math.prod(known.kernel_size) - math.prod(smaller.kernel_size)
        weights = taps * math.prod(known.kernel.shape[2:])
        outputs = math.prod(axis.outputs for axis in axes)
        for name, number in (("taps", taps), ("parameters", weights), ("multiply_adds", weights * outputs)):
            saved[name] += number
        notes.append(_note(known, smaller, shape))
    return Result(graph.with_nodes(changed), len(notes), saved if notes else {}, tuple(notes))


def _rewritten(known: Convolution, axes: list[_Axis], firsts: list[int]) -> Convolution | None:
    """The convolution with the cut `axes`; `None` where no padding of a layer gives the same windows."""
    rows, columns = (slice(first, first + axis.taps) for first, axis in zip(firsts, axes, strict=True))
    rates = tuple(axis.rate for axis in axes)
    smaller = replace(known, kernel=known.kernel[rows, columns], rates=rates)
    if all(axis.is_same() for axis in axes):
        return replace(smaller, padding="same")
    if all(axis.is_valid() for axis in axes):
        return replace(smaller, padding="valid")
    return None


def _note(known: Convolution, smaller: Convolution, shape: tuple[int, ...]) -> str:
    before, after = ("x".join(map(str, x.kernel_size)) for x in (known, smaller))
    name, rates = known.unit.config["name"], "x".join(map(str, dict.fromkeys(known.rates)))
    return f"{name}: {before} at rate {rates} on {shape[1]}x{shape[2]} is {after}"
