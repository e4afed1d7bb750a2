"""A model as the list of its layers' calls, and what each call reads of the map before it.

Layers are known by their attributes (``kernel_size`` or ``pool_size``, ``strides``, ``rate`` or
``dilation_rate``, ``padding``), which covers those of Keras and of this package.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError
from zoo.graph import Call, calls, functional_of, is_nested, parts_of

# Stands in for a height or width that a model leaves open. It divides by every usual stride, so that
# "same" padding falls as it does on images whose sides divide by the output stride.
TRIAL_SIZE = 1024

# Parts of class names, lower case.
_RESAMPLING = ("resize", "resizing", "upsampling", "broadcastlike")
_SHIFTING = ("pad", "crop")
_OPAQUE = ("attention", "permute", "transpose", "flip", "roll", "rot90", "matmul", "conv")


# --- the graph ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One call of one layer; `inputs` are the indices of the steps that it reads."""

    name: str
    layer: Any
    inputs: tuple[int, ...]
    size: tuple[int, int] | None  # height and width of the output, None where it is not a map

    @property
    def is_image(self) -> bool:
        """Whether this is what a network sees: the input, or what it is enlarged to within the model."""
        return self.size is not None and (not self.inputs or is_named(self.layer, ("enlarge",)))


def trace(model: Any) -> tuple[list[Step], list[int]]:
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
        Step(tensor.name, None, (), _map_size(spec)) for tensor, spec in zip(graph.inputs, specs, strict=True)
    ]
    outputs = _inline(graph, "", list(enumerate(specs)), steps)
    return steps, [index for index, _ in outputs]


def _functional(model: Any) -> Any:
    """The functional graph of a model, or `InputError` for one whose calls cannot be seen."""
    graph = functional_of(model)
    if graph is None:
        raise InputError(
            f"model {model.name!r} has no graph to follow: it must be functional or sequential "
            "and built, not subclassed"
        )
    return graph


def _inline(graph: Any, prefix: str, feeds: list, steps: list[Step]) -> list:
    """Appends the calls of a graph to `steps`, nested models in place.

    Values are pairs (index of the step, concrete `KerasTensor`); `feeds` are those of the inputs.
    """
    values = {id(tensor): feed for tensor, feed in zip(graph.inputs, feeds, strict=True)}
    for call in calls(graph):
        if call.is_input:
            continue
        given = [values[id(tensor)] for tensor in call.inputs]
        if is_nested(call.operation):
            inner = _functional(call.operation)
            made = _inline(inner, f"{prefix}{call.operation.name}/", given, steps)
        else:
            made = _append(call, prefix, values, given, steps)
        values.update(zip(map(id, call.outputs), made, strict=True))
    return [values[id(tensor)] for tensor in graph.outputs]


def _append(call: Call, prefix: str, values: dict, given: list, steps: list[Step]) -> list:
    """Appends one call, its output sizes worked out from the concrete ones of its inputs."""
    import keras

    operation, name = call.operation, prefix + call.operation.name
    specs = {key: spec for key, (_, spec) in values.items()}
    args, kwargs = call.arguments(specs)
    made = keras.tree.flatten(operation.compute_output_spec(*args, **kwargs))
    inputs = tuple(dict.fromkeys(index for index, _ in given))
    if type(operation).__name__ in ("Add", "Concatenate", "Average"):
        inputs = tuple(index for index, _ in given)  # x + x has two paths, split(x) one
    steps.append(Step(name, operation, inputs, _map_size(made[0])))
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


def find_step(steps: list[Step], name: str) -> int:
    """Index of the step called `name`, or `InputError` with the nearest names."""
    found = [i for i, step in enumerate(steps) if step.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"layer {name!r} is called {len(found)} times; name a layer called once")
    names = list(dict.fromkeys(step.name for step in steps))
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4) or names[-3:]
    raise InputError(f"no layer {name!r} in the model; near it are {', '.join(near)}")


def default_start(steps: list[Step], outputs: list[int]) -> int:
    """The step before the last enlargement on the way back from the output, if there is one."""
    if len(outputs) != 1:
        raise InputError(f"the model has {len(outputs)} outputs; name the layer to start from")
    index = start = outputs[0]
    while steps[index].layer is not None and not is_window(steps[index].layer):
        first = steps[index].inputs[0]
        enlarged = _is_resampling(steps[index].layer) or _grows(steps[first].size, steps[index].size)
        if not enlarged and len(steps[index].inputs) > 1:
            break
        index = first
        start = index if enlarged else start
    return start


# --- one edge of the graph ----------------------------------------------------------------------


def is_window(layer: Any) -> bool:
    """Whether a layer reads a window of cells: a convolution or a pooling."""
    has_size = hasattr(layer, "kernel_size") or hasattr(layer, "pool_size")
    return has_size and not is_named(layer, ("transpose",))


def _is_resampling(layer: Any) -> bool:
    return is_named(layer, _RESAMPLING)


def is_named(layer: Any, words: tuple[str, ...]) -> bool:
    """Whether the name of the class, or of a base class, contains one of the words."""
    names = [kind.__name__.lower() for kind in type(layer).__mro__]
    return any(word in name for name in names for word in words)


def _grows(before: tuple[int, int] | None, after: tuple[int, int] | None) -> bool:
    return after is not None and (before is None or after[0] > before[0] or after[1] > before[1])


def data_inputs(step: Step) -> tuple[int, ...]:
    """The inputs whose values are read: a resampling layer takes only a size from its second."""
    return step.inputs[:1] if _is_resampling(step.layer) else step.inputs


def edge_kind(step: Step, before: tuple[int, int] | None) -> str:
    """What a step does to an input of size `before`.

    One of ``window``, ``pointwise``, ``shift`` (padding or cropping), ``collapse`` (pooling of the
    map or of regions), ``enlarge`` (resizing, or repeating a single cell).
    """
    after, layer = step.size, step.layer
    if before is None:
        return "pointwise" if after is None else "enlarge"
    if getattr(layer, "data_format", None) == "channels_first":
        raise InputError(f"layer {step.name!r} is channels_first; only channels_last can be followed")
    if is_window(layer):
        is_pool_of_all = after is None and hasattr(layer, "pool_size")
        return "collapse" if is_pool_of_all else "window"
    if _grows(before, after):
        return "shift" if is_named(layer, _SHIFTING) else "enlarge"
    if after is None or is_named(layer, ("pool",)):
        return "collapse"
    if is_named(layer, _SHIFTING):
        return "shift"
    if before != after or _is_opaque(layer):
        raise InputError(
            f"layer {step.name!r} ({type(layer).__name__}) cannot be followed from {after} back to "
            f"{before}: what it reads does not show from outside; start from a layer before it"
        )
    return "pointwise"


def _is_opaque(layer: Any) -> bool:
    """Whether a layer that keeps the size of the map may mix positions all the same."""
    return is_named(layer, _OPAQUE) or any(is_window(part) for part in parts_of(layer))


@dataclass(frozen=True)
class Window:
    """A window along one axis: `before` cells of padding stand ahead of the first one."""

    taps: int = 1
    rate: int = 1
    stride: int = 1
    before: int = 0


def windows_of(layer: Any, size: tuple[int, int]) -> tuple[Window, Window]:
    """The windows of a layer along rows and columns, on a map of `size`."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    stride = getattr(layer, "strides", None) or kernel
    axes = zip(_pair(kernel), rate_of(layer), _pair(stride), size, strict=True)
    padding = getattr(layer, "padding", "valid")
    return tuple(Window(k, r, s, _padding_before(k, r, s, n, padding)) for k, r, s, n in axes)


def rate_of(layer: Any) -> tuple[int, int]:
    """Rates along rows and columns, 1 without dilation."""
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


def shift_of(step: Step, before: tuple[int, int]) -> tuple[int, int]:
    """Cells added ahead of the map, rows and columns; cropping counts below 0."""
    for attribute, sign in (("padding", 1), ("cropping", -1)):
        amounts = getattr(step.layer, attribute, None)
        if isinstance(amounts, tuple) and all(isinstance(pair, tuple) for pair in amounts):
            return sign * amounts[0][0], sign * amounts[1][0]
    return (step.size[0] - before[0]) // 2, (step.size[1] - before[1]) // 2
