"""Receptive field, coverage and holes of a built Keras model, over every path of its graph.

Starting at one position of one layer, the counts of paths are handed backwards, layer by layer, and
summed where branches join, so that the number of paths does not matter, only the number of layers.
A position ``p`` behind a window of stride ``s``, rate ``r`` and ``t`` taps reads the positions
``s p + r t - padding``.

Layers are known by their attributes (``kernel_size`` or ``pool_size``, ``strides``, ``rate`` or
``dilation_rate``, ``padding``), which covers those of Keras and of this package. Borders are left out:
the answer is that of a position far from them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.dilation.coverage import Layer
from zoo.errors import InputError

# Stands in for a height or width that a model leaves open. It divides by every usual stride, so that
# "same" padding falls as it does on images whose sides divide by the output stride.
TRIAL_SIZE = 1024
MAX_STACKS = 64
MAX_CELLS = 2**24
# A pooling window from here on, read back through an enlargement, is a pyramid's context and not a
# step of an encoder, whose windows have 2 or 3 cells.
CONTEXT_WINDOW = 4

# Parts of class names, lower case.
_RESAMPLING = ("resize", "resizing", "upsampling", "broadcastlike")
_SHIFTING = ("pad", "crop")
_OPAQUE = ("attention", "permute", "transpose", "flip", "roll", "rot90", "matmul", "conv")


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
            "input pixels" above are then positions of that map.
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
            resized to the image.
        source: Name of the layer to end at, such as `dilation_input` finds; every path must go through it.

    Returns:
        The coverage and what it was derived from.

    Raises:
        InputError: The model is not built, is subclassed or has several images as input; the layer is
            unknown or called several times; or the way back crosses a layer that cannot be
            followed (an enlarged map, attention, a layer holding others).
    """
    steps, outputs = _trace(model)
    start = _default_start(steps, outputs) if layer is None else _find(steps, layer)
    if steps[start].size is None:
        raise InputError(f"layer {steps[start].name!r} has no map of positions to start from")
    image = next(i for i, step in enumerate(steps) if step.is_image)
    root = image if source is None else _find(steps, source)
    walk = _Walk(steps, start, root)
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
        source=source,
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
    steps, outputs = _trace(model)
    start = _default_start(steps, outputs) if layer is None else _find(steps, layer)
    edges, waiting = set(), [start]
    while waiting:
        index = waiting.pop()
        found = {(source, index) for source in _data_inputs(steps[index]) if steps[index].layer is not None}
        waiting += [source for source, _ in found - edges]
        edges |= found
    dilated = [i for _, i in edges if _is_window(steps[i].layer) and _rate(steps[i].layer) != (1, 1)]
    if not dilated:
        raise InputError(f"no layer of {model.name!r} before {steps[start].name!r} is dilated")
    passed = [i for i, _ in edges if i < min(dilated) and not any(a < i < b for a, b in edges)]
    return steps[max(passed)].name


# --- the graph ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One call of one layer; `inputs` are the indices of the steps that it reads."""

    name: str
    layer: Any
    inputs: tuple[int, ...]
    size: tuple[int, int] | None  # height and width of the output, None where it is not a map

    @property
    def is_image(self) -> bool:
        return not self.inputs and self.size is not None


def _trace(model: Any) -> tuple[list[_Step], list[int]]:
    """Lists the calls of a model in the order of computation, and the indices of its outputs."""
    import keras

    if not isinstance(model, keras.Model):
        raise InputError(f"expected a keras.Model; got {type(model).__name__}")
    graph = _functional(model)
    specs = [_concrete(tensor) for tensor in graph.inputs]
    if sum(len(spec.shape) == 4 for spec in specs) != 1:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in graph.inputs)
        raise InputError(f"a model needs one image input (batch, height, width, channels); got {shapes}")
    steps = [
        _Step(tensor.name, None, (), _map_size(spec))
        for tensor, spec in zip(graph.inputs, specs, strict=True)
    ]
    outputs = _inline(graph, "", list(enumerate(specs)), steps)
    return steps, [index for index, _ in outputs]


def _functional(model: Any) -> Any:
    """The functional graph of a model, or `InputError` for one whose calls cannot be seen."""
    graph = getattr(model, "_functional", model)  # a Sequential keeps its graph there once built
    if graph is None or not hasattr(graph, "_nodes_by_depth"):
        raise InputError(
            f"model {model.name!r} has no graph to follow: it must be functional or sequential "
            "and built, not subclassed"
        )
    return graph


def _inline(graph: Any, prefix: str, feeds: list, steps: list[_Step]) -> list:
    """Appends the calls of a graph to `steps`, nested models in place.

    Values are pairs (index of the step, concrete `KerasTensor`); `feeds` are those of the inputs.
    Keras offers the calls themselves, which a shared layer has several of, only as
    ``_nodes_by_depth``.
    """
    values = {id(tensor): feed for tensor, feed in zip(graph.inputs, feeds, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input:
                continue
            given = [values[id(tensor)] for tensor in node.input_tensors]
            if hasattr(node.operation, "_nodes_by_depth") or hasattr(node.operation, "_functional"):
                inner = _functional(node.operation)
                made = _inline(inner, f"{prefix}{node.operation.name}/", given, steps)
            else:
                made = _append(node, prefix, values, given, steps)
            values.update(zip(map(id, node.outputs), made, strict=True))
    return [values[id(tensor)] for tensor in graph.outputs]


def _append(node: Any, prefix: str, values: dict, given: list, steps: list[_Step]) -> list:
    """Appends one call, its output sizes worked out from the concrete ones of its inputs."""
    import keras

    operation, name = node.operation, prefix + node.operation.name
    specs = {key: spec for key, (_, spec) in values.items()}
    args, kwargs = node.arguments.fill_in(specs)
    made = keras.tree.flatten(operation.compute_output_spec(*args, **kwargs))
    inputs = tuple(dict.fromkeys(index for index, _ in given))
    if type(operation).__name__ in ("Add", "Concatenate", "Average"):
        inputs = tuple(index for index, _ in given)  # x + x has two paths, split(x) one
    steps.append(_Step(name, operation, inputs, _map_size(made[0])))
    return [(len(steps) - 1, spec) for spec in made]


def _concrete(tensor: Any) -> Any:
    """A tensor of the same rank with a size in place of every open dimension."""
    import keras

    shape = tensor.shape
    spatial = [TRIAL_SIZE if size is None else size for size in shape[1:]]
    return keras.KerasTensor((1, *spatial), dtype=tensor.dtype)


def _map_size(spec: Any) -> tuple[int, int] | None:
    """Height and width of a feature map; None for vectors and for maps of a single cell."""
    shape = tuple(spec.shape)
    if len(shape) != 4 or shape[1:3] == (1, 1):
        return None
    return shape[1:3]


def _find(steps: list[_Step], name: str) -> int:
    """Index of the step called `name`, or `InputError` with the nearest names."""
    found = [i for i, step in enumerate(steps) if step.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"layer {name!r} is called {len(found)} times; name a layer called once")
    names = list(dict.fromkeys(step.name for step in steps))
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4) or names[-3:]
    raise InputError(f"no layer {name!r} in the model; near it are {', '.join(near)}")


def _default_start(steps: list[_Step], outputs: list[int]) -> int:
    """The step before the last enlargement on the way back from the output, if there is one."""
    if len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs; name the layer to start from")
    index = start = outputs[0]
    while steps[index].layer is not None and not _is_window(steps[index].layer):
        first = steps[index].inputs[0]
        enlarged = _is_resampling(steps[index].layer) or _grows(steps[first].size, steps[index].size)
        if not enlarged and len(steps[index].inputs) > 1:
            break
        index = first
        start = index if enlarged else start
    return start


# --- one edge of the graph ----------------------------------------------------------------------


def _is_window(layer: Any) -> bool:
    has_size = hasattr(layer, "kernel_size") or hasattr(layer, "pool_size")
    return has_size and not _named(layer, ("transpose",))


def _is_resampling(layer: Any) -> bool:
    return _named(layer, _RESAMPLING)


def _named(layer: Any, words: tuple[str, ...]) -> bool:
    """Whether the name of the class, or of a base class, contains one of the words."""
    names = [kind.__name__.lower() for kind in type(layer).__mro__]
    return any(word in name for name in names for word in words)


def _grows(before: tuple[int, int] | None, after: tuple[int, int] | None) -> bool:
    return after is not None and (before is None or after[0] > before[0] or after[1] > before[1])


def _data_inputs(step: _Step) -> tuple[int, ...]:
    """The inputs whose values are read: a resampling layer takes only a size from its second."""
    return step.inputs[:1] if _is_resampling(step.layer) else step.inputs


def _edge(step: _Step, before: tuple[int, int] | None) -> str:
    """What a step does to an input of size `before`.

    One of ``window``, ``pointwise``, ``shift`` (padding or cropping), ``collapse`` (pooling of the
    map or of regions), ``enlarge`` (resizing, or repeating a single cell).
    """
    after, layer = step.size, step.layer
    if before is None:
        return "pointwise" if after is None else "enlarge"
    if getattr(layer, "data_format", None) == "channels_first":
        raise InputError(f"layer {step.name!r} is channels_first; only channels_last can be followed")
    if _is_window(layer):
        is_pool_of_all = after is None and hasattr(layer, "pool_size")
        return "collapse" if is_pool_of_all else "window"
    if _grows(before, after):
        return "shift" if _named(layer, _SHIFTING) else "enlarge"
    if after is None or _named(layer, ("pool",)):
        return "collapse"
    if _named(layer, _SHIFTING):
        return "shift"
    if before != after or _is_opaque(layer):
        raise InputError(
            f"layer {step.name!r} ({type(layer).__name__}) cannot be followed from {after} back to "
            f"{before}: what it reads does not show from outside; start from a layer before it"
        )
    return "pointwise"


def _is_opaque(layer: Any) -> bool:
    """Whether a layer that keeps the size of the map may mix positions all the same."""
    parts = getattr(layer, "_flatten_layers", lambda **_: ())(include_self=False)
    return _named(layer, _OPAQUE) or any(_is_window(part) for part in parts)


@dataclass(frozen=True)
class _Window:
    """A window along one axis: `before` cells of padding stand ahead of the first one."""

    taps: int = 1
    rate: int = 1
    stride: int = 1
    before: int = 0


def _windows(layer: Any, size: tuple[int, int]) -> tuple[_Window, _Window]:
    """The windows of a layer along rows and columns, on a map of `size`."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    stride = getattr(layer, "strides", None) or kernel
    axes = zip(_pair(kernel), _rate(layer), _pair(stride), size, strict=True)
    padding = getattr(layer, "padding", "valid")
    return tuple(_Window(k, r, s, _padding_before(k, r, s, n, padding)) for k, r, s, n in axes)


def _rate(layer: Any) -> tuple[int, int]:
    return _pair(getattr(layer, "rate", None) or getattr(layer, "dilation_rate", None) or 1)


def _padding_before(taps: int, rate: int, stride: int, size: int, padding: str) -> int:
    reach = rate * (taps - 1)
    if padding == "valid":
        return 0
    if padding == "same":  # TensorFlow pads what the last window lacks, the odd cell at the end
        return max((-(-size // stride) - 1) * stride + reach + 1 - size, 0) // 2
    return reach // 2


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _shift(step: _Step, before: tuple[int, int]) -> tuple[int, int]:
    """Cells added ahead of the map, rows and columns; cropping counts below 0."""
    for attribute, sign in (("padding", 1), ("cropping", -1)):
        amounts = getattr(step.layer, attribute, None)
        if isinstance(amounts, tuple) and all(isinstance(pair, tuple) for pair in amounts):
            return sign * amounts[0][0], sign * amounts[1][0]
    return (step.size[0] - before[0]) // 2, (step.size[1] - before[1]) // 2


# --- counting -----------------------------------------------------------------------------------


class _Walk:
    """Hands the counts of `start` to every step before it, up to `root`.

    Attributes:
        maps: Counts and the position of ``counts[0, 0]``, for the steps not yet passed, `root` and the image.
        strides: Cells of a step's output from one position of `start` to the next.
        edges: The (step, input) pairs that counts have gone through.
        context: Names of the layers that pool.
        assumed: Names of the layers that were taken to be pointwise.
    """

    def __init__(self, steps: list[_Step], start: int, root: int):
        self.steps, self.start, self.root = steps, start, root
        self.maps = {start: (np.ones((1, 1)), (0, 0))}
        self.strides = {start: (1, 1)}
        self.edges: set[tuple[int, int]] = set()
        self.context: list[str] = []
        self.assumed: list[str] = []
        # Steps whose values are spread over a map, and the layer that spreads them.
        self._spread: dict[int, str] = {}

    def run(self) -> None:
        for index in range(self.start, -1, -1):
            if index in self._spread:
                self._pass_spread(index)
            if index in self.maps and index != self.root and self.steps[index].layer is not None:
                self._pass_counts(index)

    def _pass_spread(self, index: int) -> None:
        """Looks for the pooling behind an enlarged map; without one the way back is lost."""
        step, name = self.steps[index], self._spread[index]
        if step.is_image:
            raise _lost(name)
        for source in _data_inputs(step) if step.layer is not None else ():
            kind = _edge(step, self.steps[source].size)
            if kind == "window":
                rows, columns = _windows(step.layer, self.steps[source].size)
                if hasattr(step.layer, "pool_size") and min(rows.taps, columns.taps) >= CONTEXT_WINDOW:
                    kind = "collapse"
                elif max(rows.stride, columns.stride) > 1:
                    raise _lost(name)
            if kind == "collapse":
                self.context.append(step.name)
            else:
                self._spread[source] = name

    def _pass_counts(self, index: int) -> None:
        step = self.steps[index]
        counts, origin = self.maps.pop(index)
        for source in _data_inputs(step):
            size = self.steps[source].size
            kind = _edge(step, size)
            if kind == "collapse":
                self.context.append(step.name)
            elif kind == "enlarge":
                self._spread[source] = step.name
            elif kind == "window":
                windows = _windows(step.layer, size)
                self._add(index, source, *_through(counts, origin, windows), windows)
            else:
                ahead = _shift(step, size) if kind == "shift" else (0, 0)
                moved = origin[0] - ahead[0], origin[1] - ahead[1]
                self._add(index, source, counts, moved)
                if kind == "pointwise" and _is_foreign(step.layer):
                    self.assumed.append(step.name)

    def _add(self, index, source, counts, origin, windows=(_Window(), _Window())) -> None:
        """Adds counts to those of `source`, which other branches may have reached before."""
        stride = tuple(
            above * window.stride for above, window in zip(self.strides[index], windows, strict=True)
        )
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


def _lost(name: str) -> InputError:
    return InputError(
        f"layer {name!r} enlarges its map, and the way back through it is not followed; "
        "name a layer before it"
    )


def _is_foreign(layer: Any) -> bool:
    """Whether Keras gives no word on what the layer does."""
    return not type(layer).__module__.startswith("keras.") or _named(layer, ("lambda",))


def _through(counts: np.ndarray, origin: tuple[int, int], windows: tuple) -> tuple:
    """The counts and the origin on the input of a layer, from those on its output."""
    for axis, window in enumerate(windows):
        counts = _unfold(counts, window, axis)
    moved = tuple(
        window.stride * first - window.before for first, window in zip(origin, windows, strict=True)
    )
    return counts, moved


def _unfold(counts: np.ndarray, window: _Window, axis: int) -> np.ndarray:
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


def _stacks(steps: list[_Step], start: int, *, root: int, edges: set) -> tuple[tuple[Layer, ...], ...]:
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
        if len(step.inputs) > 1 and not _named(step.layer, ("concat",)):
            arriving = [stack for stack in arriving if len(stack) == len(arriving[0])]
        found[index] = arriving[:MAX_STACKS]
    return tuple(found[start])


def _as_layers(step: _Step, size: tuple[int, int]) -> tuple[Layer, ...]:
    """The window of a step along its longer side, or nothing for a step that reads one cell."""
    if _edge(step, size) != "window":
        return ()
    longer = max(_windows(step.layer, size), key=lambda window: window.taps * window.stride)
    if longer.taps == longer.stride == 1:
        return ()
    return (Layer(longer.taps, longer.rate, longer.stride),)
