"""What an artifact computes on its way: the outputs of layers, found in the file by the layers' names.

Formats keep the names of Keras' layers in those of their tensors. An operation that computes
several layers (a convolution with its bias and activation) shows the output of the last one only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from zoo.export import formats
from zoo.export.core.artifact import Artifact
from zoo.export.core.deployment import Deployment
from zoo.export.deploy.graph import Graph, read


def layer_outputs(
    artifact: Artifact, image: np.ndarray, *, graph: Graph, wanted: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Outputs of the layers of `graph` that can be found in the artifact, for one image.

    Args:
        artifact: An opened one.
        image: ``(1, height, width, 3)`` float32 in 0…255.
        graph: Of the network that was written.
        wanted: What the network itself gives, by layer. A tensor of another shape is not taken for a layer's.

    Returns:
        Real values (integers dequantized) by layer, in the shapes of `wanted`.
    """
    order = {key: index for index, (key, _) in enumerate(graph.walk()) if key in wanted}
    found = {}
    format = formats.find(artifact.format, part="artifact")
    tensors = format.load("probe") if format.probe else lambda artifact, image: ()
    for name, value in tensors(artifact, image):
        fitting = [
            (order[layer], layer, fitted)
            for layer in _layers_in(name, order)
            if (fitted := _fitted(value, wanted[layer])) is not None
        ]
        if fitting:  # the last of the layers that one operation computes, the last operation of a layer
            _, layer, fitted = max(fitting, key=lambda item: item[0])
            found[layer] = fitted
    if not artifact.metadata.gives_mask:
        found[graph.output.node] = artifact.predict(image)
    return found


def keras_outputs(network: keras.Model, graph: Graph, image: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of all layers with one output that were called once, for ``(1, height, width, 3)``."""
    layers = {key: tensor for key, _ in graph.walk() if (tensor := output_of(network, key)) is not None}
    values = keras.Model(network.input, list(layers.values()))(image, training=False)
    return {key: keras.ops.convert_to_numpy(value) for key, value in zip(layers, values, strict=True)}


def both_outputs(
    artifact: Artifact, deployment: Deployment, image: np.ndarray
) -> tuple[Graph, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The network's graph, and the outputs of its layers by Keras and by the artifact, as far as seen."""
    network = deployment.network
    graph = read(network)
    want = keras_outputs(network, graph, image)
    # The output may have another rank than a map of features, such as a mask.
    want[graph.output.node] = run_network(network, image)
    return graph, want, layer_outputs(artifact, image, graph=graph, wanted=want)


def run_network(network: keras.Model, image: np.ndarray) -> np.ndarray:
    """What Keras computes for ``(1, height, width, 3)``."""
    return keras.ops.convert_to_numpy(network(image, training=False))


def output_of(network: keras.Model, key: str) -> keras.KerasTensor | None:
    """The output of the layer that stands for a node of the graph; `None` where it has none of its own."""
    try:
        tensor = network.get_layer(key).output
    except (ValueError, AttributeError):  # called again, and so a node with a key of its own
        return None
    usable = isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == 4
    return tensor if usable and tensor is not network.input else None


def _layers_in(name: str, known: Iterable[str]) -> set[str]:
    """``{"stem", "relu"}`` of ``m_1/relu_1/Relu;m_1/stem_1/Conv2D``."""
    parts = re.split(r"[/;:]", name)
    bare = (re.sub(r"_\d+$", "", part) for part in parts)
    return {part if part in known else other for part, other in zip(parts, bare, strict=True)} & set(known)


def _fitted(value: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """The value in the layout of `wanted`; `None` if it has another shape in any layout."""
    turned = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    fitting = [x for x in (value, turned) if x.shape == wanted.shape]
    # Where a map is as high and wide as it has channels, only its values tell the layout.
    return min(fitting, key=lambda x: float(np.abs(x - wanted).sum()), default=None)
