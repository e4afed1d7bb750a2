"""From a zoo model to one whose tensors are rounded wherever an 8-bit runtime rounds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from zoo.compression.integer_forms import in_probabilities, name_of, with_integer_forms
from zoo.errors import InputError
from zoo.export.deploy.graph import Graph, Node, Ref, Unit, build, is_readable, read, substitute
from zoo.layers import (
    BroadcastLike,
    DepthToSpace,
    DilatedConv2D,
    DilatedDepthwiseConv2D,
    Enlarge,
    FusedBatchNormalization,
    HardSwish,
    JoinTiles,
    PadToMultiple,
    ReflectionPadding2D,
)
from zoo.layers.fake_quantization import FakeQuantize, Scale, Shift
from zoo.layers.resize import Resize, SegmentationLogits

KERNELS = (DilatedConv2D, DilatedDepthwiseConv2D)
_NORMS = (FusedBatchNormalization, keras.layers.BatchNormalization)
# What an activation is fused onto: the runtime never stores the tensor between the two.
_FUSE_RELU = (*KERNELS, *_NORMS, keras.layers.Add, Shift)
# Operations that only move or select values: their outputs are on the scale of their inputs.
_SAME_SCALE = (
    BroadcastLike,
    DepthToSpace,
    Enlarge,
    JoinTiles,
    PadToMultiple,
    ReflectionPadding2D,
    Resize,
    SegmentationLogits,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding2D,
)
# Those through which the scale of a concatenation reaches back.
_TRANSPARENT = (BroadcastLike, keras.layers.Dropout)
_ROUNDED = (
    *KERNELS,
    *_NORMS,
    FakeQuantize,
    HardSwish,
    Scale,
    Shift,
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Multiply,
    keras.layers.ReLU,
)
_PROBABILITIES = "softmax and logarithm of resized probabilities, for which 8 bits are too few"
_UNKNOWN = "no 8-bit form is known for it"
_SUFFIX = ".quantized"


@dataclass(frozen=True)
class Quantizable:
    """A model with `FakeQuantize` layers.

    Attributes:
        model: Keras 3 model, weights not rounded yet.
        kernels: Names of the layers whose kernels are rounded, in the order of the model.
        float_layers: Names of the layers that compute in float, each with the reason.
    """

    model: keras.Model
    kernels: tuple[str, ...]
    float_layers: Mapping[str, str] = field(default_factory=dict)


def quantizable(model: keras.Model, images: Iterable[np.ndarray]) -> Quantizable:
    """Insert rounding into a model; ranges are those that some images give.

    The mean of the images becomes the bias of a 1×1 convolution, sums of several tensors become sums of two,
    and a hard sigmoid becomes its three operations, because each of them is an operation of its own in 8
    bits. Everything stays as exact as it was until it is rounded.

    Args:
        model: A zoo model with one output.
        images: Batches ``(batch, height, width, 3)`` in 0…255, which show the range of every tensor.

    Raises:
        InputError: A model that is no plain graph, or no images.
    """
    if not is_readable(model):
        raise InputError("quantization takes a functional zoo model with one input and one output")
    graph = with_integer_forms(read(model))
    left = left_in_float_of(graph)
    points = _points(graph, left)
    ranges = _ranges(build(graph), points, images)
    graph = _with_rounding(graph, points, ranges)
    made = build(graph)
    kernels = [layer.name for layer in made.layers if isinstance(layer, KERNELS)]
    return Quantizable(made, tuple(kernels), left)


# --- where tensors are rounded ---------------------------------------------------------------------------


def left_in_float(model: keras.Model) -> dict[str, str]:
    """Names of the layers of a quantized model that compute in float, each with the reason."""
    return left_in_float_of(read(model))


def left_in_float_of(graph: Graph) -> dict[str, str]:
    """Names of the layers that stay in float, with the reason."""
    left = {}
    for key, node in graph.walk():
        if key == graph.input:
            continue
        if in_probabilities(node):
            before = graph.nodes[node.inputs[0].node]
            left |= {name_of(x): _PROBABILITIES for x in (before, node) if x is node or x.unit.kind is Shift}
        elif node.unit.kind not in (*_ROUNDED, *_SAME_SCALE):
            left[name_of(node)] = _UNKNOWN
    return left


def _points(graph: Graph, left: Mapping[str, str]) -> list[Ref]:
    """Tensors to round, in the order of execution."""
    users = graph.users()
    points = [Ref(graph.input)]
    for key, node in graph.walk():
        ref = Ref(key)
        if key == graph.input or in_probabilities(node):
            continue
        readers = [graph.nodes[user] for user in users[ref] if user]
        if name_of(node) in left:
            # Whatever reads it computes in 8 bits again.
            points += [ref] if any(name_of(reader) not in left for reader in readers) else []
        elif node.unit.kind not in _SAME_SCALE and not (
            _is_fused(node, readers, left) or _is_absorbed(graph, users, ref, left)
        ):
            points.append(ref)
    return points


def _is_fused(node: Node, readers: list[Node], left: Mapping[str, str]) -> bool:
    """Whether the only reader becomes one operation with this node."""
    if len(readers) != 1 or name_of(readers[0]) in left:
        return False
    reader = readers[0].unit.kind
    if node.unit.kind in KERNELS and reader in _NORMS:
        return True
    return node.unit.kind in _FUSE_RELU and reader is keras.layers.ReLU


def _is_absorbed(graph: Graph, users: Mapping[Ref, list[str]], ref: Ref, left: Mapping[str, str]) -> bool:
    """Whether nothing but one concatenation reads it, whose scale then is its own."""
    readers = users[ref]
    while len(readers) == 1 and readers[0]:
        reader = graph.nodes[readers[0]]
        if reader.unit.kind is keras.layers.Concatenate:
            return name_of(reader) not in left
        if reader.unit.kind not in _TRANSPARENT or reader.inputs[0] != ref:
            return False
        ref = Ref(readers[0])
        readers = users[ref]
    return False


def _ranges(model: keras.Model, points: list[Ref], images: Iterable[np.ndarray]) -> dict[Ref, tuple]:
    """(low, high) of each tensor, both the mean over the batches; 0 is always inside."""
    layers = {layer.name: layer for layer in model.layers}
    tensors = [layers[ref.node].output for ref in points]
    probe = keras.Model(model.input, tensors)

    @tf.function(reduce_retracing=True)
    def seen(batch):
        return [tf.stack([tf.reduce_min(x), tf.reduce_max(x)]) for x in probe(batch, training=False)]

    found = [np.array(seen(tf.cast(batch, tf.float32))) for batch in images]
    if not found:
        raise InputError("quantization needs images that show the range of every tensor")
    mean = np.mean(found, axis=0, dtype=np.float64)
    ranges = {}
    for ref, (low, high) in zip(points, mean, strict=True):
        low, high = min(low, 0.0), max(high, 0.0)
        ranges[ref] = (low, high) if high - low > 1e-6 else (low, low + 1e-6)
    ranges[points[0]] = (0.0, 255.0)
    return ranges


def _with_rounding(graph: Graph, points: list[Ref], ranges: Mapping[Ref, tuple[float, float]]) -> Graph:
    """The graph in which `FakeQuantize` layers stand behind `points`."""
    added, moved = {}, {}
    for ref in points:
        node = graph.nodes[ref.node]
        fixed = ref.node == graph.input
        name = name_of(node) + _SUFFIX
        added[ref.node + _SUFFIX] = Node(_rounding(name, *ranges[ref], fixed=fixed), (ref,), {})
        moved[ref] = Ref(ref.node + _SUFFIX)
    graph = substitute(graph, moved)
    return graph.with_nodes(added)


def _rounding(name: str, low: float, high: float, *, fixed: bool) -> Unit:
    arrays = {"low": np.float32(low), "high": np.float32(high)}
    return Unit(FakeQuantize, {"name": name, "fixed": fixed}, arrays=arrays)


# --- after training --------------------------------------------------------------------------------------


def with_rounded_resizes(model: keras.Model) -> keras.Model:
    """The model in which the results of resizes, too, are rounded: on the scale of what was resized."""
    graph = read(model)
    added, moved = {}, {}
    for key, node in graph.walk():
        if node.unit.kind not in (Resize, SegmentationLogits) or in_probabilities(node):
            continue
        source = graph.nodes[node.inputs[0].node].unit
        if source.kind is FakeQuantize:
            name = name_of(node) + _SUFFIX
            low, high = (float(source.weights[side]) for side in ("low", "high"))
            added[key + _SUFFIX] = Node(_rounding(name, low, high, fixed=True), (Ref(key),), {})
            moved[Ref(key)] = Ref(key + _SUFFIX)
    made = build(substitute(graph, moved).with_nodes(added))
    return made


def round_kernel(kernel: np.ndarray, *, depthwise: bool) -> np.ndarray:
    """Kernel values as int8 holds them: −127 to 127 times a scale for each output channel."""
    axes = (0, 1, 3) if depthwise else (0, 1, 2)
    scale = np.abs(kernel).max(axis=axes, keepdims=True).astype(np.float64) / 127
    steps = np.divide(kernel, scale, out=np.zeros(kernel.shape), where=scale > 0)
    return (np.rint(steps) * scale).astype(np.float32)


def round_kernels(model: keras.Model, names: Iterable[str]) -> None:
    """Round the kernels of the named layers in place."""
    for name in names:
        layer = model.get_layer(name)
        rounded = round_kernel(layer.kernel.numpy(), depthwise=isinstance(layer, DilatedDepthwiseConv2D))
        layer.kernel.assign(rounded)
