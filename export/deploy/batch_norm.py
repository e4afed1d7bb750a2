"""Batch normalization folded into the convolution before it."""

from __future__ import annotations

import keras
import numpy as np

from zoo.export.deploy.convolutions import Convolution, convolution
from zoo.export.deploy.graph import Graph, Node, Unit
from zoo.export.deploy.result import Result
from zoo.layers import FusedBatchNormalization

# Kernels of fewer weights become no table of values; one of no more different values is such a table already.
_FEWEST_WEIGHTS, _MOST_VALUES = 1024, 256
_KINDS = (keras.layers.BatchNormalization, FusedBatchNormalization)


def fold_batch_norm(graph: Graph, *, keep_tables: bool = False) -> Result:
    """Scale the kernel and shift the bias of every convolution that only its normalization reads.

    In inference, normalization is ``x · factor + shift`` for each channel, with ``factor = gamma /
    √(variance + epsilon)`` and ``shift = beta − mean · factor``: linear, as is the convolution before it
    (Jacob et al. 2018, section 3.2). Each layer has its own epsilon.

    With `keep_tables`, kernels that will be stored as a table of values keep theirs, and their normalization.
    """
    users = graph.users()
    folded, saved = {}, 0
    for key, node in graph.walk():
        before = _source(graph, node)
        if before is None or len(users[node.inputs[0]]) > 1:
            continue
        known = convolution(before.unit)
        if known is None or (keep_tables and _becomes_table(known)):
            continue
        # float64, because the rounding of each factor would multiply a whole kernel.
        factor, shift = _factor_and_shift(node.unit, known.filters)
        after = known.scaled(factor, shift)
        saved += sum(w.size for w in node.unit.weights.values()) - (known.bias is None) * known.filters
        folded[key] = Node(after.to_unit(), before.args, before.kwargs)
    return Result(graph.with_nodes(folded), len(folded), {"parameters": saved} if folded else {})


def _becomes_table(known: Convolution) -> bool:
    """Whether one table serves the kernel as it is: it would not once every filter has a scale of its own."""
    own = len(np.unique(known.kernel)) <= _MOST_VALUES
    return known.kernel.size >= _FEWEST_WEIGHTS and (own or not known.depthwise)


def _source(graph: Graph, node: Node) -> Node | None:
    """What a foldable normalization normalizes; `None` if the node is none."""
    unit = node.unit
    if unit.kind not in _KINDS or not (node.plain and unit.single_precision):
        return None
    axis = unit.config["axis"]
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    rank = len(graph.shapes[node.inputs[0]])
    before = graph.nodes[node.inputs[0].node]
    return before if rank == 4 and axis in (-1, 3) and before.plain else None


def _factor_and_shift(unit: Unit, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Of a normalization, one value for each channel, in float64."""
    weights = {name: value.astype(np.float64) for name, value in unit.weights.items()}
    gamma = weights.get("gamma", np.ones(channels))
    beta = weights.get("beta", np.zeros(channels))
    factor = gamma / np.sqrt(weights["moving_variance"] + unit.config["epsilon"])
    return factor, beta - weights["moving_mean"] * factor
