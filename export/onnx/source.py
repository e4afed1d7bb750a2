"""The TensorFlow graph that is converted to ONNX, without its large kernels, which are put back behind it.

tf2onnx copies the whole graph for every pass of its optimizer, some 25 times, and Python frees the copies
late: a model of 0.2 GB took 13 GB. No pass needs the numbers of a kernel, only its shape.
"""

from __future__ import annotations

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

from zoo.errors import InputError
from zoo.export.core.deployment import Deployment, serving_function

# Elements; smaller weights cost nothing, and stay constants that passes can fold.
_LARGE = 1 << 14


class Source:
    """A graph to convert.

    Attributes:
        graph: A GraphDef in which weights are constants, and large kernels placeholders.
        input: Name of the tensor of images.
        output: Name of the tensor of logits or masks.
        kernels: Large kernels, float32 (height, width, inputs, outputs), by the name of the tensor.
    """

    def __init__(self, deployment: Deployment):
        serve, spec = serving_function(deployment, depthwise="native", products=True)
        function = serve.get_concrete_function(spec)
        self.graph = function.graph.as_graph_def()
        self.input, self.output = function.inputs[0].name, function.outputs[0].name
        self.kernels: dict[str, np.ndarray] = {}
        self._state_weights(function)

    def _state_weights(self, function) -> None:
        """Replace what reads a variable by a constant, or by a placeholder of its shape."""
        variables = {id(variable.handle): variable for variable in function.graph.variables}
        handles = {
            inner.op.name: variables[id(outer)]
            for outer, inner in function.graph.captures
            if id(outer) in variables
        }
        filters = _filters(self.graph)
        for node in self.graph.node:
            if node.op == "ReadVariableOp" and node.input[0] in handles:
                self._state(node, handles[node.input[0]], is_filter=node.name in filters)
            elif any(name in handles for name in node.input):
                raise InputError(f"{node.name} takes a weight by {node.op}, which ONNX has no word for")
        kept = [node for node in self.graph.node if node.name not in handles]
        del self.graph.node[:]
        self.graph.node.extend(kept)

    def _state(self, node, variable, *, is_filter: bool) -> None:
        value, kind = variable.numpy(), node.attr["dtype"].type
        del node.input[:]
        node.attr.clear()
        node.attr["dtype"].type = kind
        if is_filter and value.size >= _LARGE:
            node.op = "Placeholder"
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
            self.kernels[f"{node.name}:0"] = value
        else:
            node.op = "Const"
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def _filters(graph: tf.compat.v1.GraphDef) -> set[str]:
    """Nodes whose result convolutions take as their kernel, and nothing else takes."""
    readers: dict[str, set] = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            readers.setdefault(name.removesuffix(":0"), set()).add((node.op, index))
    return {name for name, uses in readers.items() if uses == {("Conv2D", 1)}}


def give_back(model: onnx.ModelProto, kernels: dict[str, np.ndarray]) -> None:
    """Make weights of the inputs that stand for `kernels`, with the axes that their readers ask for."""
    graph = model.graph
    kept = [value for value in graph.input if value.name not in kernels]
    del graph.input[:]
    graph.input.extend(kept)
    for node in [node for node in graph.node if node.op_type == "Transpose" and node.input[0] in kernels]:
        order = helper.get_attribute_value(node.attribute[0])
        graph.initializer.append(_tensor(kernels[node.input[0]].transpose(order), node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    graph.initializer.extend(_tensor(kernels[name], name) for name in sorted(read & kernels.keys()))


def _tensor(value: np.ndarray, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(value), name)
