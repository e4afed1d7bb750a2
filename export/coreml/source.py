"""The TensorFlow graph that is written: what depends on the image; the rest is computed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from zoo.export.core.deployment import Deployment, serving_function

# Their results are constants where the shape of what they are given is.
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation that depends on the image.

    Attributes:
        kind: Its name in TensorFlow.
        name: Of the node.
        inputs: An array for each constant, else the name of a tensor.
        output: Name of its first result.
        shape: Of that, all of it known.
        input_shapes: Of the inputs.
        node: For its attributes.
    """

    kind: str
    name: str
    inputs: tuple[np.ndarray | str, ...]
    output: str
    shape: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    node: tf.Operation

    def attribute(self, name: str):
        """Value of one of TensorFlow's attributes; text as `str`."""
        value = self.node.get_attr(name)
        return value.decode() if isinstance(value, bytes) else value


class Source:
    """A graph of static size.

    Attributes:
        input: Name of the tensor of images.
        output: Name of the tensor of logits or of the mask.
    """

    def __init__(self, deployment: Deployment):
        serve, spec = serving_function(deployment, depthwise="native")
        function = serve.get_concrete_function(spec)
        self._graph = function.graph
        self.input, self.output = function.inputs[0].name, function.outputs[0].name
        self._given = _given(function)
        self._constants = self._computed()

    def operations(self) -> Iterator[Operation]:
        """Those that the output depends on, each behind those it reads."""
        for operation in self._dependent:
            yield Operation(
                kind=operation.type,
                name=operation.name,
                inputs=tuple(self._constants.get(x.name, x.name) for x in operation.inputs),
                output=operation.outputs[0].name,
                shape=tuple(operation.outputs[0].shape.as_list()),
                input_shapes=tuple(tuple(x.shape.as_list()) for x in operation.inputs),
                node=operation,
            )

    def _computed(self) -> dict[str, np.ndarray]:
        """Values of constant tensors that operations on the image read."""
        needed = _needed(self._graph.get_tensor_by_name(self.output).op)
        changing = {self._graph.get_tensor_by_name(self.input).op}
        self._dependent = []
        for operation in self._graph.get_operations():
            results = {x.name for x in operation.outputs}
            known = operation.type in _SHAPES or self._given.keys() & results
            if operation in needed and not known and any(x.op in changing for x in operation.inputs):
                changing.add(operation)
                self._dependent.append(operation)
        read = {x.name for op in self._dependent for x in op.inputs if x.op not in changing}
        fetched = sorted(read - self._given.keys())
        with tf.compat.v1.Session(graph=self._graph) as session:
            values = session.run(fetched, self._given)
        every = {**self._given, **dict(zip(fetched, values, strict=True))}
        return {name: np.asarray(every[name]) for name in read}


def _given(function) -> dict[str, np.ndarray]:
    """Weights, by the tensors that read them, and known shapes."""
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    handles = {
        inner.name: variables[id(outer)] for outer, inner in function.graph.captures if id(outer) in variables
    }
    given = {}
    for operation in function.graph.get_operations():
        if operation.type == "ReadVariableOp" and operation.inputs[0].name in handles:
            given[operation.outputs[0].name] = handles[operation.inputs[0].name].numpy()
        elif operation.type == "Shape" and operation.inputs[0].shape.is_fully_defined():
            given[operation.outputs[0].name] = np.asarray(
                operation.inputs[0].shape.as_list(), operation.outputs[0].dtype.as_numpy_dtype
            )
    return given


def _needed(last: tf.Operation) -> set[tf.Operation]:
    needed, waiting = set(), [last]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [x.op for x in operation.inputs]
    return needed
