"""Layers that do nothing outside of training."""

from __future__ import annotations

import keras

from zoo.export.deploy.graph import Graph, Ref, substitute
from zoo.export.deploy.result import Result

_KINDS = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout2D,
)


def drop_training_only(graph: Graph) -> Result:
    """Let what reads dropout, noise or an identity read its input instead."""
    found = {}
    for key, node in graph.walk():
        linear = node.unit.kind is keras.layers.Activation and node.unit.config["activation"] == "linear"
        if node.plain and len(node.inputs) == 1 and (linear or node.unit.kind in _KINDS):
            found[Ref(key)] = node.inputs[0]
    return Result(substitute(graph, found), len(found))
