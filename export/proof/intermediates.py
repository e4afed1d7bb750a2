"""What an artifact computes on its way: the outputs of layers, found in the file by the layers' names.

All three formats keep the names of Keras' layers in those of their tensors. An operation that computes
several layers (a convolution with its bias and activation) shows the output of the last one only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np

from zoo.export.core.artifact import Artifact
from zoo.export.core.deployment import Deployment
from zoo.export.deploy.graph import Graph, read

# Tensors that tf2onnx put between the operations of the original graph.
_AUXILIARY = re.compile(r"__\d+(:\d+)?$")
Named = Iterator[tuple[str, np.ndarray]]


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
    for name, value in _READERS[artifact.format](artifact, image):
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


# --- formats ----------------------------------------------------------------------------------------------


def _from_tflite(artifact: Artifact, image: np.ndarray) -> Named:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from zoo.export.tflite.artifact import run_once

    interpreter = Interpreter(
        model_path=str(artifact.path),
        experimental_preserve_all_tensors=True,
        # Within a delegate there are no tensors to look at.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    run_once(interpreter, image)
    tensors = {details["index"]: details for details in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        for index in map(int, operator["outputs"]):
            value, (scale, zero_point) = interpreter.get_tensor(index), tensors[index]["quantization"]
            if scale:
                value = np.float32(scale) * (value.astype(np.float32) - zero_point)
            yield tensors[index]["name"], value


def _from_onnx(artifact: Artifact, image: np.ndarray) -> Named:
    import onnx
    import onnxruntime

    model = onnx.load(artifact.path)
    outputs = {entry.name for entry in model.graph.output}
    names = [n for node in model.graph.node for n in node.output if n and not _AUXILIARY.search(n)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _quiet_options(), providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0]
    if artifact.metadata.layout == "nchw":
        image = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    if source.type == "tensor(uint8)":
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    for name, value in zip(names, session.run(names, {source.name: image}), strict=True):
        if value.dtype == np.float32:  # of integers, what they stand for follows
            yield name, value


def _quiet_options():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    return options


def _from_saved_model(artifact: Artifact, image: np.ndarray) -> Named:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from zoo.export.core.metadata import SIGNATURE

    loaded = tf.saved_model.load(str(artifact.path))
    # Flattens the functions that the signature calls; their tensors cannot be asked for.
    function = convert_variables_to_constants_v2(loaded.signatures[SIGNATURE])
    tensors = [
        tensor
        for operation in function.graph.get_operations()
        if operation.type not in ("Const", "Placeholder", "Identity")
        for tensor in operation.outputs
        if tensor.dtype == tf.float32 and tensor.shape.rank == 4
    ]
    pruned = function.prune(function.inputs[0].name, [tensor.name for tensor in tensors])
    for tensor, value in zip(tensors, pruned(tf.constant(image)), strict=True):
        yield tensor.name, value.numpy()


_READERS: Mapping[str, Callable[[Artifact, np.ndarray], Named]] = {
    "tflite": _from_tflite,
    "onnx": _from_onnx,
    "saved_model": _from_saved_model,
}
