"""Image pooling added behind the projection of ASPP instead of repeated before it."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from zoo.export.deploy.convolutions import Convolution, convolution
from zoo.export.deploy.graph import Graph, Node, Ref, Unit
from zoo.export.deploy.result import Result
from zoo.layers import BroadcastLike
from zoo.layers.resize import Resize


def split_image_pooling(graph: Graph) -> Result:
    """Project the single cell of image pooling by itself and add it to the projection of the other branches.

    A 1×1 convolution of a concatenation is the sum of the convolutions of its parts, and that of a cell
    repeated over the map is a cell repeated over the map::

        project(concat(branches, repeat(cell))) = project'(concat(branches)) + project''(cell)

    where the rows of the kernel are shared out. The repeated map, its part of the concatenation and its
    multiply-adds at every position are gone; one broadcasting sum comes in.
    """
    users = graph.users()
    added, places, saved = {}, 0, 0
    for key, node in graph.walk():
        joined = _joined(graph, node)
        if joined is None or len(users[node.inputs[0]]) > 1:
            continue
        cells = {ref: cell for ref in joined.inputs if (cell := _cell(graph, ref))}
        known = convolution(node.unit) if 0 < len(cells) < len(joined.inputs) else None
        if known is None or not _is_pointwise(known, graph.shapes[node.inputs[0]][-1]):
            continue
        added.update(_split(graph, key, known, joined, cells))
        places += 1
        _, height, width, filters = graph.shapes[Ref(key)]
        if None not in (height, width):
            channels = sum(graph.shapes[ref][-1] for ref in cells)
            saved += (height * width - 1) * channels * filters
    return Result(graph.with_nodes(added), places, {"multiply_adds": saved} if saved else {})


def _joined(graph: Graph, node: Node) -> Node | None:
    """The concatenation of channels that a node reads, if it reads nothing else."""
    if not node.plain or len(node.inputs) != 1:
        return None
    joined = graph.nodes[node.inputs[0].node]
    is_concat = joined.unit.kind is keras.layers.Concatenate and joined.plain
    rank = len(graph.shapes[node.inputs[0]])
    distinct = len(set(joined.inputs)) == len(joined.inputs)
    return joined if is_concat and rank == 4 and distinct and joined.unit.config["axis"] in (-1, 3) else None


def _cell(graph: Graph, ref: Ref) -> Ref | None:
    """The single cell ``(batch, 1, 1, channels)`` that a map repeats; `None` if it is no such map."""
    node = graph.nodes[ref.node]
    if node.unit.kind not in (BroadcastLike, Resize) or not node.plain:
        return None
    cell = node.inputs[0]
    # A single cell has nothing to interpolate with, by any convention.
    return cell if tuple(graph.shapes[cell][1:3]) == (1, 1) else None


def _is_pointwise(known: Convolution, channels: int) -> bool:
    """Whether every output is a sum over all channels of one position."""
    dense = not known.depthwise and known.kernel.shape[2] == channels
    return dense and known.kernel_size == known.strides == (1, 1)


def _split(
    graph: Graph, key: str, known: Convolution, joined: Node, cells: dict[Ref, Ref]
) -> dict[str, Node]:
    """The nodes in place of the projection `key` of `joined`, of whose inputs `cells` are repeated cells."""
    starts = np.cumsum([0, *(graph.shapes[ref][-1] for ref in joined.inputs)])
    rows = {ref: np.arange(*starts[index : index + 2]) for index, ref in enumerate(joined.inputs)}
    name, maps = known.unit.config["name"], [ref for ref in joined.inputs if ref not in cells]
    parts = (
        ("", maps, maps, known.bias),
        (".pooled", list(cells), list(cells.values()), None),
    )
    nodes = {}
    for suffix, origins, sources, bias in parts:
        part = key + (suffix or ".maps")
        source = sources[0]
        if len(sources) > 1:
            config = {**joined.unit.config, "name": joined.unit.config["name"] + suffix}
            source = Ref(f"{part}.concat")
            nodes[source.node] = Node(Unit(keras.layers.Concatenate, config, arrays={}), (sources,), {})
        kernel = known.kernel[:, :, np.concatenate([rows[ref] for ref in origins])]
        unit = replace(known, kernel=kernel, bias=bias).to_unit(name=name + suffix)
        nodes[part] = Node(unit, (source,), {})
    total = Unit(keras.layers.Add, {"name": f"{name}.add", "dtype": "float32"}, arrays={})
    # The cell first: Keras makes a second term of this shape a bias, of which the ONNX converter counts one.
    nodes[key] = Node(total, ([Ref(f"{key}.pooled"), Ref(f"{key}.maps")],), {})
    return nodes
