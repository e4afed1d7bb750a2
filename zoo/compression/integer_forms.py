"""What a network computes, written in the operations that 8-bit runtimes have; nothing is rounded yet."""

from __future__ import annotations

import keras
import numpy as np

from zoo.export.deploy.graph import Graph, Node, Ref, Unit
from zoo.layers import DilatedConv2D, HardSigmoid
from zoo.layers.fake_quantization import Scale, Shift
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import SegmentationLogits


def name_of(node: Node) -> str:
    """Name of the layer that a node calls."""
    return node.unit.config.get("name") or node.unit.original.name


def in_probabilities(node: Node) -> bool:
    """Whether it enlarges probabilities."""
    return node.unit.kind is SegmentationLogits and node.unit.config["domain"] == "probabilities"


def with_integer_forms(graph: Graph) -> Graph:
    """The graph in which what is one operation in Keras and several in 8 bits is several."""
    for key, node in list(graph.walk()):
        if node.unit.kind is Normalize:
            graph = graph.with_nodes({key: Node(_normalization(node.unit), node.args, node.kwargs)})
        elif node.unit.kind is HardSigmoid:
            graph = _split_gate(graph, key, node)
        elif node.unit.kind is keras.layers.Add and len(node.inputs) > 2:
            graph = _paired_sums(graph, key, node)
        elif in_probabilities(node):
            graph = _guarded(graph, key, node)
    return graph


def _normalization(unit: Unit) -> Unit:
    """``(image − mean) / scale`` as a 1×1 convolution.

    Its kernel has one value in each output channel, which 8 bits hold exactly.
    """
    factor = 1 / np.array(unit.config["scale"], np.float64)
    order = [0, 1, 2] if unit.config["order"] == "rgb" else [2, 1, 0]
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, order, [0, 1, 2]] = factor[order]
    bias = (-np.array(unit.config["mean"]) * factor)[order].astype(np.float32)
    config = {
        "name": unit.config["name"],
        "filters": 3,
        "kernel_size": 1,
        "use_bias": True,
        "trainable": False,
    }
    return Unit(DilatedConv2D, config, arrays={"kernel": kernel, "bias": bias})


def _split_gate(graph: Graph, key: str, node: Node) -> Graph:
    """``relu6(x + 3) / 6`` as three nodes."""
    name = node.unit.config["name"]
    shift = Unit(Shift, {"name": f"{name}.shift", "amount": 3.0}, arrays={})
    clip = Unit(keras.layers.ReLU, {"name": f"{name}.relu6", "max_value": 6.0}, arrays={})
    scale = Unit(Scale, {"name": name, "factor": 1 / 6}, arrays={})
    nodes = {
        f"{key}.shift": Node(shift, node.args, {}),
        f"{key}.relu6": Node(clip, (Ref(f"{key}.shift"),), {}),
        key: Node(scale, (Ref(f"{key}.relu6"),), {}),
    }
    return graph.with_nodes(nodes)


def _paired_sums(graph: Graph, key: str, node: Node) -> Graph:
    """``((a + b) + c) + …``: an 8-bit sum has two terms."""
    name, nodes, total = node.unit.config["name"], {}, node.inputs[0]
    for index, term in enumerate(node.inputs[1:], start=1):
        last = index == len(node.inputs) - 1
        place = key if last else f"{key}.{index}"
        unit = Unit(keras.layers.Add, {"name": name if last else f"{name}.{index}"}, arrays={})
        nodes[place] = Node(unit, ([total, term],), {})
        total = Ref(place)
    return graph.with_nodes(nodes)


def _guarded(graph: Graph, key: str, node: Node) -> Graph:
    """Keep a softmax from 8 bits by a sum before it, which changes no probability and is not rounded.

    Converters round a softmax whenever its input is rounded, because its range is known.
    """
    name = f"{name_of(node)}.shift"
    shift = Node(Unit(Shift, {"name": name, "amount": 1.0}, arrays={}), (node.inputs[0],), {})
    behind = Node(node.unit, ([Ref(name), *node.inputs[1:]],), {})
    return graph.with_nodes({name: shift, key: behind})
