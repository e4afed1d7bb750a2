"""A functional model as plain data, which a rewrite can match and change without touching the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np

from zoo.graph import calls, is_functional


@dataclass(frozen=True)
class Ref:
    """One output of one node; no named tuple, which would be a structure of its own within arguments."""

    node: str
    index: int = 0


@dataclass(frozen=True, eq=False)
class Unit:
    """What nodes compute: the class, settings and weights of a layer. Nodes with one unit share one layer.

    Attributes:
        kind: Class of the layer or operation.
        config: Its settings; empty for a layer that cannot be made from them (see `clonable`).
        original: The layer that it was read from; `None` if a rewrite made it.
        arrays: Weights by name, in the layer's order, if a rewrite made it.
    """

    kind: type
    config: Mapping[str, Any]
    original: keras.Operation | None = None
    arrays: Mapping[str, np.ndarray] | None = None

    @property
    def weights(self) -> Mapping[str, np.ndarray]:
        """Values by the names of the variables."""
        if self.arrays is not None:
            return self.arrays
        return {w.name: keras.ops.convert_to_numpy(w) for w in getattr(self.original, "weights", ())}

    @property
    def single_precision(self) -> bool:
        """Whether it stores and computes in float32."""
        policy = keras.dtype_policies.get(self.config.get("dtype"))
        return policy.compute_dtype == policy.variable_dtype == "float32"


@dataclass(frozen=True)
class Node:
    """One call of a unit; `args` and `kwargs` hold `Ref` where the call had tensors."""

    unit: Unit
    args: tuple
    kwargs: Mapping[str, Any]

    @cached_property
    def inputs(self) -> tuple[Ref, ...]:
        """The tensors that it reads, in the order of the arguments."""
        return tuple(x for x in keras.tree.flatten((self.args, self.kwargs)) if isinstance(x, Ref))

    @property
    def plain(self) -> bool:
        """Whether it was called with one tensor, or one list of them, and nothing else that matters."""
        values = self.args[0] if len(self.args) == 1 else None
        values = values if isinstance(values, list | tuple) else [values]
        neutral = all(value is None or value is False for value in self.kwargs.values())
        return neutral and all(isinstance(x, Ref) for x in values)


class Graph(NamedTuple):
    """A model with one input and one output.

    Attributes:
        name: Of the model.
        nodes: By a key that is the name of the layer (with a suffix where it is called again).
        input: Key of the input's node.
        output: What the model returns.
        shapes: Of every tensor, `None` for a dynamic axis.
    """

    name: str
    nodes: Mapping[str, Node]
    input: str
    output: Ref
    shapes: Mapping[Ref, tuple[int | None, ...]]

    def with_nodes(self, changed: Mapping[str, Node]) -> Graph:
        """The graph with some nodes replaced or added; the tensors of replaced ones keep their shape."""
        return self._replace(nodes={**self.nodes, **changed})

    def users(self) -> dict[Ref, list[str]]:
        """The nodes that read each tensor; the model's output counts as read by ``""``."""
        users: dict[Ref, list[str]] = {self.output: [""]}
        for key in ordered(self):
            for ref in self.nodes[key].inputs:
                users.setdefault(ref, []).append(key)
        return users

    def walk(self) -> Iterator[tuple[str, Node]]:
        """The nodes that the output depends on, each behind those it reads."""
        return ((key, self.nodes[key]) for key in ordered(self))


def ordered(graph: Graph) -> list[str]:
    """Keys of the nodes that the output depends on, each behind those it reads."""
    done: dict[str, None] = {}
    stack = [graph.output.node]
    while stack:
        key = stack[-1]
        waiting = [ref.node for ref in graph.nodes[key].inputs if ref.node not in done]
        if key in done or not waiting:
            done.setdefault(stack.pop())
        else:
            stack.extend(reversed(waiting))
    return list(done)


def substitute(graph: Graph, replacements: Mapping[Ref, Ref]) -> Graph:
    """The graph in which other tensors are read in place of some; chains of replacements are followed."""

    def final(value):
        while isinstance(value, Ref) and value in replacements:
            value = replacements[value]
        return value

    nodes = {}
    for key, node in graph.nodes.items():
        args, kwargs = keras.tree.map_structure(final, (node.args, dict(node.kwargs)))
        nodes[key] = replace(node, args=args, kwargs=kwargs)
    return graph._replace(nodes=nodes, output=final(graph.output))


# --- from and to Keras ------------------------------------------------------------------------------------


def is_readable(model: keras.Model) -> bool:
    """Whether a model is what its functional graph says, from one tensor to one tensor."""
    maker = next(kind for kind in type(model).__mro__ if "call" in vars(kind))
    functional = is_functional(model) and maker.__module__.startswith("keras.")
    return functional and len(model.inputs) == len(model.outputs) == 1


def clonable(operation: keras.Operation) -> bool:
    """Whether a layer's settings and weights are all there is to it: Keras' own layers and the zoo's."""
    opaque = (keras.Model, keras.layers.Lambda, keras.layers.Wrapper)
    known = type(operation).__module__.startswith(("keras.", "zoo."))
    return known and isinstance(operation, keras.layers.Layer) and not isinstance(operation, opaque)


class Shared(keras.layers.Layer):
    """Calls a layer of another model, with its weights, and does not enter that model's graph.

    For layers whose settings do not tell all: nested models, code of others, plain operations.
    """

    def __init__(self, original: keras.Operation):
        super().__init__(name=original.name, dtype="float32", autocast=False, trainable=False)
        self.original = original
        self.built = True

    def call(self, *args, **kwargs):
        return self.original(*args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        return self.original.compute_output_spec(*args, **kwargs)


def read(model: keras.Model) -> Graph:
    """The graph of a model for which `is_readable` holds."""
    units: dict[int, Unit] = {}
    refs: dict[int, Ref] = {}
    nodes, shapes = {}, {}
    for call in calls(model):
        operation = call.operation
        key = operation.name
        while key in nodes:
            key += "+"
        config = operation.get_config() if clonable(operation) else {}
        unit = units.setdefault(id(operation), Unit(type(operation), config, operation))
        nodes[key] = Node(unit, *call.arguments(refs))
        for index, tensor in enumerate(call.outputs):
            refs[id(tensor)] = Ref(key, index)
            shapes[refs[id(tensor)]] = tuple(tensor.shape)
    source, target = refs[id(model.inputs[0])], refs[id(model.outputs[0])]
    return Graph(model.name, nodes, source.node, target, shapes)


def build(graph: Graph) -> keras.Model:
    """A model of its own with the weights of the graph."""
    layers: dict[Unit, keras.layers.Layer] = {}
    values: dict[Ref, keras.KerasTensor] = {}
    for key, node in graph.walk():
        if key == graph.input:
            shape, dtype = graph.shapes[Ref(key)], node.unit.config.get("dtype")
            values[Ref(key)] = keras.Input(shape[1:], name=node.unit.config["name"], dtype=dtype)
            continue
        first = node.unit not in layers
        if first:
            taken = {layer.name for layer in layers.values()}
            layers[node.unit] = _make(node.unit, taken)
        layer = layers[node.unit]
        args, kwargs = _filled(node, values)
        outputs = keras.tree.flatten(layer(*args, **kwargs))
        values.update({Ref(key, index): tensor for index, tensor in enumerate(outputs)})
        if first:
            _fill(layer, node.unit)
    return keras.Model(values[Ref(graph.input)], values[graph.output], name=graph.name)


def _filled(node: Node, values: Mapping[Ref, Any]) -> tuple[tuple, dict]:
    """The arguments of a call, with tensors in the place of references."""

    def value(x):
        return values[x] if isinstance(x, Ref) else x

    return keras.tree.map_structure(value, (node.args, dict(node.kwargs)))


def _make(unit: Unit, taken: set[str]) -> keras.layers.Layer:
    """The layer of a unit, without weights yet; `taken` names belong to others."""
    if not unit.config:
        return Shared(unit.original)
    name = unit.config["name"]
    while name in taken:  # a layer that was called twice has become two
        name += "_again"
    zeros = {key: "zeros" for key in unit.config if key.endswith("kernel_initializer")}
    return unit.kind.from_config({**unit.config, **zeros, "name": name})


def _fill(layer: keras.layers.Layer, unit: Unit) -> None:
    """Give a layer that was just built its weights."""
    if unit.arrays is not None:
        layer.set_weights(list(unit.arrays.values()))
    elif not isinstance(layer, Shared):
        for variable, source in zip(layer.weights, unit.original.weights, strict=True):
            variable.assign(source)


def with_static_shapes(graph: Graph, size: tuple[int, int]) -> Graph:
    """The graph for images of one size; shapes are inferred without touching the layers' own graph."""
    specs: dict[Ref, keras.KerasTensor] = {}
    for key, node in graph.walk():
        if key == graph.input:
            batch, _, _, channels = graph.shapes[Ref(key)]
            specs[Ref(key)] = keras.KerasTensor((batch, *size, channels), dtype="float32")
            continue
        args, kwargs = _filled(node, specs)
        made = keras.tree.flatten(node.unit.original.compute_output_spec(*args, **kwargs))
        specs.update({Ref(key, index): spec for index, spec in enumerate(made)})
    return graph._replace(shapes={ref: tuple(spec.shape) for ref, spec in specs.items()})
