"""Names that mean something: every node is called like the Keras layer that it comes from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

import onnx
from onnx import numpy_helper

# What the inputs of an operation are for, where they are constants.
_ROLES = {
    "Conv": ("input", "kernel", "bias"),
    "Clip": ("input", "min", "max"),
    "Resize": ("input", "roi", "scales", "sizes"),
    "Reshape": ("input", "shape"),
    "Expand": ("input", "shape"),
    "Gather": ("input", "indices"),
    "Pad": ("input", "pads", "value", "axes"),
    "ReduceMean": ("input", "axes"),
    "Slice": ("input", "starts", "ends", "axes", "steps"),
}
_OTHER = "constant"
# What a layer needs around the operation that it is.
_HELPERS = {"Shape", "Cast", "Slice", "Gather", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Concat"}


def rename(model: onnx.ModelProto, *, layers: Collection[str]) -> None:
    """Name nodes, tensors and constants after layers, in place; the graph's inputs and outputs keep theirs.

    A layer that became one node gives it its name: ``aspp.conv1``; nodes that only compute a shape or change
    a layout do not count. Else the operation follows: ``normalize/sub``. A tensor is called like the node
    that computes it, a constant like the node that reads it and what for: ``aspp.conv1/kernel``; one that
    several nodes read is called after its value.

    Args:
        model: Named by tf2onnx, which keeps TensorFlow's ``model/layer_1/operation`` in some names and makes
            up others (``Conv__271``).
        layers: Names of the model's layers.
    """
    graph = model.graph
    nodes = _node_names(graph, _layers_of(graph, frozenset(layers)))
    ends = {value.name for value in [*graph.input, *graph.output]}
    tensors = _tensor_names(graph, nodes, taken=ends)
    tensors.update(_constant_names(graph, nodes, taken={*ends, *tensors.values()}))
    for node, name in zip(graph.node, nodes, strict=True):
        node.name = name
        for field in (node.input, node.output):
            field[:] = [tensors.get(text, text) for text in field]
    for tensor in graph.initializer:
        tensor.name = tensors.get(tensor.name, tensor.name)
    del graph.value_info[:]  # under the old names; shape inference gives them again


def layer_of(name: str, layers: Collection[str]) -> str | None:
    """``stem.conv`` of ``model_1/stem.conv_1/BiasAdd:0``; `None` where no layer is named."""
    for part in name.split("/")[:-1]:
        # TensorFlow numbers the calls of a layer.
        for candidate in (re.sub(r"_\d+$", "", part), part):
            if candidate in layers:
                return candidate
    return None


def _layers_of(graph: onnx.GraphProto, layers: Collection[str]) -> list[str | None]:
    """The layer of each node: by its own name, its constants', or that of the nodes around it."""
    uses = Counter(name for node in graph.node for name in node.input)
    constants = {tensor.name for tensor in graph.initializer}
    found = []
    for node in graph.node:
        own = [name for name in node.input if name in constants and uses[name] == 1]
        # A bias before a kernel: a kernel may bear the name of what computed it.
        names = [node.name, *node.output, *reversed(own)]
        found.append(next((layer for name in names if (layer := layer_of(name, layers))), None))
    return _spread(graph, found)


def _spread(graph: onnx.GraphProto, found: list[str | None]) -> list[str | None]:
    """Let nodes without a layer belong to that of a node that reads them, else of one that they read."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output}
    edges = [(makers[name], i) for i, node in enumerate(graph.node) for name in node.input if name in makers]
    changed = True
    while changed:
        changed = False
        for first, second in [*reversed(edges), *((b, a) for a, b in edges)]:
            if found[first] is None and found[second] is not None:
                found[first], changed = found[second], True
    return found


def _node_names(graph: onnx.GraphProto, layers: list[str | None]) -> list[str]:
    pairs = list(zip(graph.node, layers, strict=True))
    counts = Counter(layers)
    working = Counter(layer for node, layer in pairs if node.op_type not in _HELPERS)
    taken, names = set(), []
    for node, layer in pairs:
        operation = node.op_type.lower()
        alone = counts[layer] == 1 or (working[layer] == 1 and node.op_type not in _HELPERS)
        name = operation if layer is None else layer if alone else f"{layer}/{operation}"
        names.append(_unique(name, taken))
    return names


def _unique(name: str, taken: set[str]) -> str:
    """`name`, or with a number where it is taken; takes it."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _tensor_names(graph: onnx.GraphProto, nodes: list[str], *, taken: set[str]) -> dict[str, str]:
    """New names of what nodes compute."""
    used, names = set(taken), {}
    for node, name in zip(graph.node, nodes, strict=True):
        for output in node.output:
            if output and output not in taken:
                names[output] = _unique(name, used)
    return names


def _constant_names(graph: onnx.GraphProto, nodes: list[str], *, taken: set[str]) -> dict[str, str]:
    readers: dict[str, list[str]] = {}
    roles: dict[str, str] = {}
    for node, name in zip(graph.node, nodes, strict=True):
        known = _ROLES.get(node.op_type, ())
        for index, text in enumerate(node.input):
            role = known[index] if index < len(known) else _OTHER
            readers.setdefault(text, []).append(f"{name}/{role}")
            roles.setdefault(text, role)
    used, names = set(taken), {}
    for tensor in graph.initializer:
        own = readers.get(tensor.name, [])
        shared = f"{roles.get(tensor.name, _OTHER)}_{_value_text(tensor)}"
        name = own[0] if len(own) == 1 else shared
        names[tensor.name] = _unique(name, used)
    return names


def _value_text(tensor: onnx.TensorProto) -> str:
    """``6`` of a scalar, ``0x1x1`` of a few integers, the shape of anything else."""
    values = numpy_helper.to_array(tensor)
    if values.size <= 4:
        return "x".join(f"{value:g}" for value in values.ravel()) or "empty"
    return "of_" + "x".join(map(str, values.shape))
