"""A graph that tells what rounding to 8 bits costs in each layer by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
from onnx import helper

_TWIN = "float/"


@dataclass(frozen=True)
class Probe:
    """A graph that takes images.

    Attributes:
        model: The graph.
        outputs: Two for each watched layer: the sum of squares of what rounding changes in its output, and
            that of the output in float.
    """

    model: onnx.ModelProto
    outputs: list[str]


def build(model: onnx.ModelProto, quantized: onnx.ModelProto, *, watched: Collection[str]) -> Probe:
    """The quantized graph with a twin in float beside each node, which reads what the 8-bit layers give it.

    Args:
        model: The float graph.
        quantized: The same with QuantizeLinear and DequantizeLinear around what is quantized.
        watched: Nodes of `model`.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(quantized)
    graph = probe.graph
    rounded = _rounded(graph)
    twins = _add_twins(graph, model.graph, rounded)
    outputs = []
    for node in model.graph.node:
        if node.name in watched:
            tensor = _activated(model.graph, node, rounded)
            outputs += _add_sums(graph, node.name, rounded.get(tensor, twins[tensor]), twins[tensor])
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, []) for n in outputs)
    return Probe(probe, outputs)


def _rounded(graph: onnx.GraphProto) -> dict[str, str]:
    """What stands in the quantized graph for each tensor of the float graph: its DequantizeLinear."""
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    return {
        sources[node.input[0]]: node.output[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in sources
    }


def _add_twins(graph: onnx.GraphProto, source: onnx.GraphProto, rounded: dict[str, str]) -> dict[str, str]:
    """Copy the float nodes; the name of each tensor's twin."""
    for tensor in source.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = _TWIN + tensor.name
    inputs = {value.name: value.name for value in source.input}
    constants = {tensor.name: _TWIN + tensor.name for tensor in source.initializer}
    twins = {}
    for node in source.node:
        copy = graph.node.add()
        copy.CopyFrom(node)
        copy.name = _TWIN + node.name
        known = {"": "", **inputs, **constants, **twins, **rounded}
        copy.input[:] = [known[name] for name in node.input]
        twins.update({name: _TWIN + name for name in node.output})
        copy.output[:] = [twins[name] for name in node.output]
    return twins


def _activated(source: onnx.GraphProto, node: onnx.NodeProto, rounded: dict[str, str]) -> str:
    """The tensor that is rounded behind a node: its output, or that of the activation behind it."""
    output = node.output[0]
    readers = [n for n in source.node if output in n.input]
    if output not in rounded and len(readers) == 1 and readers[0].op_type in ("Relu", "Clip"):
        return readers[0].output[0]
    return output


def _add_sums(graph: onnx.GraphProto, name: str, rounded: str, exact: str) -> list[str]:
    """Nodes that sum squares; the names of the two sums."""
    difference, noise, signal = (f"{_TWIN}{name}/{part}" for part in ("difference", "noise", "signal"))
    graph.node.append(helper.make_node("Sub", [rounded, exact], [difference]))
    graph.node.append(helper.make_node("ReduceSumSquare", [difference], [noise], keepdims=0))
    graph.node.append(helper.make_node("ReduceSumSquare", [exact], [signal], keepdims=0))
    return [noise, signal]
