"""Receptive field, coverage and holes of a built Keras model, over every path of its graph.

Starting at one position of one layer, the counts of paths are handed backwards, layer by layer, and
summed where branches join, so that the number of paths does not matter, only the number of layers.
A position ``p`` behind a window of stride ``s``, rate ``r`` and ``t`` taps reads the positions
``s p + r t - padding``.

Borders are left out: the answer is that of a position far from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.dilation.coverage import Layer
from zoo.dilation.steps import (
    Step,
    data_inputs,
    default_start,
    edge_kind,
    find_step,
    is_named,
    is_window,
    rate_of,
    trace,
    windows_of,
)
from zoo.dilation.walk import Walk, before_decoder
from zoo.errors import InputError

MAX_STACKS = 64


@dataclass(frozen=True)
class ModelCoverage:
    """What one output position of a layer reads from the input image.

    Attributes:
        model: Name of the model.
        layer: Name of the layer whose output was followed; ``"inner/name"`` inside a nested model.
        counts: Number of paths from each input pixel, float64, shape ``(height, width)``: the
            receptive field, 0 marking holes. Relative error below 1e-12; the zeros are exact.
        origin: Row and column of ``counts[0, 0]``, in input pixels from ``output_stride`` times the
            output position.
        output_stride: Input pixels from one output position to the next, (rows, columns).
        stacks: The distinct sequences of windows from the input to the layer: at a sum of branches
            (residual blocks) the longest, at a concatenation all of them; at most 64.
        context: Layers that pool the whole map or large regions of it (image pooling, pyramids,
            squeeze-and-excitation). They read everything and are left out of `counts`.
        assumed_pointwise: Layers from outside Keras that keep the size of the map and have no window;
            they were taken to work on each position alone.
        source: Name of the layer whose map stands in for the input image, `None` for the image itself;
            "input pixels" above are then positions of that map. Of a model that enlarges its image, the
            layer that does.
    """

    model: str
    layer: str
    counts: np.ndarray = field(repr=False)
    origin: tuple[int, int]
    output_stride: tuple[int, int]
    stacks: tuple[tuple[Layer, ...], ...] = field(repr=False)
    context: tuple[str, ...] = field(repr=False)
    assumed_pointwise: tuple[str, ...] = field(repr=False)
    source: str | None = None

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Height and width of the window of input pixels that is spanned, holes included."""
        return self.counts.shape

    @property
    def holes(self) -> np.ndarray:
        """Indices into `counts` that no path reaches, shape ``(holes, 2)``."""
        return np.argwhere(self.counts == 0)

    @property
    def reached(self) -> tuple[int, int]:
        """Pixels that some path reaches, and all pixels of the receptive field."""
        return int(np.count_nonzero(self.counts)), self.counts.size

    @property
    def rates(self) -> tuple[tuple[int, ...], ...]:
        """The distinct sequences of rates at the final resolution, after the last stride.

        These are what `zoo.dilation.check` judges. Each is one path; sequences that differ are
        parallel branches, which the rule does not compare.
        """
        found = {}
        for stack in self.stacks:
            strided = [i for i, layer in enumerate(stack) if layer.stride > 1]
            tail = stack[strided[-1] + 1 if strided else 0 :]
            found[tuple(layer.rate for layer in tail if layer.kernel > 1)] = None
        return tuple(rates for rates in found if rates)


def analyse(model: Any, *, layer: str | None = None, source: str | None = None) -> ModelCoverage:
    """Follows one output position of a built model back to the input image, or to a layer on the way.

    Args:
        model: A functional or sequential `keras.Model` with one image input ``(batch, height, width,
            channels)``; nested models and shared layers are followed. Open heights and widths
            are taken as 1024.
        layer: Name of the layer to start from. By default the last one before the logits are
            resized to the image, or, of a network whose decoder enlarges the encoder's map on the way, the
            last one before that.
        source: Name of the layer to end at, such as `dilation_input` finds; every path must go through it.

    Returns:
        The coverage and what it was derived from.

    Raises:
        InputError: The model is not built, is subclassed or has several images as input; the layer is
            unknown or called several times; or the way back crosses a layer that cannot be
            followed (an enlarged map, attention, a layer holding others).
    """
    steps, outputs = trace(model)
    start = _start(steps, outputs, layer)
    if steps[start].size is None:
        raise InputError(f"layer {steps[start].name!r} has no map of positions to start from")
    image = max(i for i, step in enumerate(steps) if step.is_image)
    root = image if source is None else find_step(steps, source)
    walk = Walk(steps, start, root)
    walk.run()
    if root not in walk.maps:
        read = "the image" if source is None else f"layer {source!r}"
        raise InputError(
            f"layer {steps[start].name!r} reads {read} through pooled context only, or not at all"
        )
    if len(walk.maps) > 1:
        raise InputError(f"layer {steps[start].name!r} reads the image past layer {source!r} as well")
    counts, origin = walk.maps[root]
    if not np.isfinite(counts).all():
        raise InputError(f"layer {steps[start].name!r} has more paths than a float64 can count")
    return ModelCoverage(
        model=model.name,
        layer=steps[start].name,
        counts=counts,
        origin=origin,
        output_stride=walk.strides[root],
        stacks=_stacks(steps, start, root=root, edges=walk.edges),
        context=tuple(dict.fromkeys(reversed(walk.context))),
        assumed_pointwise=tuple(reversed(walk.assumed)),
        source=steps[root].name if steps[root].layer is not None else None,
    )


def dilation_input(model: Any, *, layer: str | None = None) -> str:
    """Names the last layer before the first dilated convolution that every path goes through.

    On its map gridding shows unmixed: undilated convolutions in front of it blend neighbours, so that seen
    from the image holes of the dilated layers are filled again.

    Args:
        model: As for `analyse`.
        layer: As for `analyse`.

    Raises:
        InputError: As from `analyse`, or a model without dilation on the way.
    """
    steps, outputs = trace(model)
    start = _start(steps, outputs, layer)
    edges, waiting = set(), [start]
    while waiting:
        index = waiting.pop()
        found = {(source, index) for source in data_inputs(steps[index]) if steps[index].layer is not None}
        waiting += [source for source, _ in found - edges]
        edges |= found
    dilated = [i for _, i in edges if is_window(steps[i].layer) and rate_of(steps[i].layer) != (1, 1)]
    if not dilated:
        raise InputError(f"no layer of {model.name!r} before {steps[start].name!r} is dilated")
    passed = [i for i, _ in edges if i < min(dilated) and not any(a < i < b for a, b in edges)]
    return steps[max(passed)].name


def _start(steps: list[Step], outputs: list[int], layer: str | None) -> int:
    """The step to start from; a decoder is left out only where its result is resized to be the output."""
    if layer is not None:
        return find_step(steps, layer)
    start = default_start(steps, outputs)
    return start if start in outputs else before_decoder(steps, start)


def _stacks(steps: list[Step], start: int, *, root: int, edges: set) -> tuple[tuple[Layer, ...], ...]:
    """The distinct sequences of windows from `root` to `start`, longest first."""
    found: dict[int, list[tuple[Layer, ...]]] = {}
    for index in range(start + 1):
        step = steps[index]
        arriving = [()] if index == root else []  # what comes from pooled context has no stack
        for source in dict.fromkeys(step.inputs):
            if (index, source) in edges:
                own = _as_layers(step, steps[source].size)
                arriving += [stack + own for stack in found[source]]
        arriving = sorted(dict.fromkeys(arriving), key=len, reverse=True)
        # At the sum of a residual block the longest way tells; a concatenation joins equals.
        if len(step.inputs) > 1 and not is_named(step.layer, ("concat",)):
            arriving = [stack for stack in arriving if len(stack) == len(arriving[0])]
        found[index] = arriving[:MAX_STACKS]
    return tuple(found[start])


def _as_layers(step: Step, size: tuple[int, int]) -> tuple[Layer, ...]:
    """The window of a step along its longer side, or nothing for a step that reads one cell."""
    if edge_kind(step, size) != "window":
        return ()
    longer = max(windows_of(step.layer, size), key=lambda window: window.taps * window.stride)
    if longer.taps == longer.stride == 1:
        return ()
    return (Layer(longer.taps, longer.rate, longer.stride),)
