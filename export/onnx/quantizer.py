"""ONNX files that compute in integers: 8-bit weights, 8- or 16-bit activations around all layers (QDQ)."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, create_calibrator

from zoo.export.core.deployment import Deployment
from zoo.export.core.float_layers import quantize_with
from zoo.export.core.kinds import KINDS
from zoo.export.core.metadata import INPUT_NAME
from zoo.export.core.quantization import FloatOperation, Plan, Quantization
from zoo.export.onnx import rounding
from zoo.export.onnx.artifact import float_nodes, run_once, session_of

# What ONNX Runtime computes in integers. Not among them: Resize, whose 8-bit kernel cuts off where it should
# round, and means over a map, which have no kernel.
_COMPUTING = ("Conv", "Add", "Mul", "Concat", "MaxPool")
# These take the scale of their neighbours: activations are limits of the 8-bit range.
_PASSING = ("Relu", "Clip", "Reshape", "Transpose", "Slice", "Pad", "DepthToSpace")
_BYTES = "image/float"
# Types of activations: with a zero point, and symmetric around 0.
_ACTIVATIONS = {
    "int8": (QuantType.QUInt8, QuantType.QInt8),
    "int16x8": (QuantType.QUInt16, QuantType.QInt16),
}


def quantize(
    model: onnx.ModelProto, deployment: Deployment, plan: Plan, *, symmetric: bool = False
) -> tuple[onnx.ModelProto, Quantization]:
    """An integer graph of a float one, and what was done: `zoo.export.core.float_layers.quantize_with`."""
    settings = {"kind": plan.kind, "symmetric": symmetric}
    converter = IntegerConverter(model, deployment, plan.calibration.images, **settings)
    content, done = quantize_with(converter, deployment, plan)
    return onnx.load_model_from_string(content), done


class IntegerConverter:
    """Quantizes a float graph, a scale for each channel of the weights, any layers of choice left in float.

    Activations are unsigned with a zero point. Beside 8-bit activations, weights are signed and of 7 bits:
    processors without VNNI add two products of bytes in 16 bits, which 8-bit weights overflow, so that the
    file would give other numbers there. ONNX Runtime has no integer kernels for 16-bit activations: on a
    processor it computes between them in float32 and rounds to 16 bits, with weights of 8 bits. What stands
    before the first and behind the last convolution (normalization, the last resize) stays in float.

    The images are seen once, when the ranges of all tensors are taken. A
    `zoo.export.core.float_layers.Converter`.

    Attributes:
        layers: Nodes that can be left in float, in the order of execution.
        tail: Softmax and what follows it, where probabilities are resized.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        deployment: Deployment,
        images: Sequence[np.ndarray],
        *,
        kind: str = "int8",
        symmetric: bool = False,
    ):
        """Take the ranges of `model`, a float file of the deployment, on `images` ``(height, width, 3)``.

        `kind` is ``"int8"`` or ``"int16x8"``. With `symmetric`, activations are signed with a zero point of
        0, and weights of 8 bits: what TensorRT takes of bytes, whose products are summed in 32 bits.
        """
        self._kind, self._symmetric = kind, symmetric
        self._channels_first = deployment.metadata.layout == "nchw"
        self._images = images
        self._ranges = _ranges(model, [self._fed(image[None]) for image in images])
        self._model = onnx.shape_inference.infer_shapes(model)
        self._ends = _outside_of_convolutions(model.graph)
        self.tail = _probabilities(model.graph) if deployment.domain == "probabilities" else ()
        self.layers = tuple(
            node.name
            for node in model.graph.node
            if node.op_type in _COMPUTING and node.name not in self._ends and self._is_float(node)
        )

    def file(self, float_layers: Iterable[str] = ()) -> bytes:
        """The file, which takes images of the kind's type and gives float32 logits."""
        model = self._quantized(float_layers)
        if KINDS[self._kind].image == "uint8":
            _take_bytes(model.graph)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def errors(self) -> dict[str, float]:
        """See `zoo.export.core.float_layers.Converter.errors`."""
        probe = rounding.build(self._model, self._quantized(()), watched=self.layers)
        session = session_of(probe.model.SerializeToString(), threads=2, optimize=False)
        sums = np.zeros((len(self.layers), 2))
        for image in self._images:
            sums += np.reshape(session.run(probe.outputs, {INPUT_NAME: self._fed(image[None])}), (-1, 2))
        # A layer that gives nothing but zeros cannot be wrong by rounding.
        noise, signal = sums.T
        ratios = np.sqrt(np.divide(noise, signal, out=np.zeros_like(noise), where=signal > 0))
        errors = {name: float(ratio) for name, ratio in zip(self.layers, ratios, strict=True)}
        return dict(sorted(errors.items(), key=lambda item: -item[1]))

    def runner(self, content: bytes) -> Callable[[np.ndarray], np.ndarray]:
        """See `zoo.export.core.float_layers.Converter.runner`."""
        session = session_of(content, threads=2)
        return lambda batch: run_once(session, batch, channels_first=self._channels_first)

    def float_operations(
        self, content: bytes, errors: Mapping[str, float], *, bounded: bool
    ) -> tuple[FloatOperation, ...]:
        """See `zoo.export.core.float_layers.Converter.float_operations`."""
        graph = onnx.load_model_from_string(content).graph
        left = {*errors, *_activations_of(self._model.graph, errors)}
        found = []
        for node in float_nodes(graph):
            reasons = {"max_drop": left, "probabilities": self.tail, "ends": self._ends}
            reason = next((r for r, names in reasons.items() if node.name in names), "no int8 kernel")
            found.append(
                FloatOperation(
                    operation=node.op_type,
                    layer=node.name.split("/")[0],
                    tensor=node.output[0],
                    relative_error=errors.get(node.name),
                    reason=reason,
                )
            )
        return tuple(found)

    def _quantized(self, float_layers: Iterable[str]) -> onnx.ModelProto:
        """With float32 ends."""
        layers = set(float_layers)
        excluded = [*layers, *_activations_of(self._model.graph, layers), *self._ends]
        unsigned, signed = _ACTIVATIONS[self._kind]
        with _quiet():
            quantizer = QDQQuantizer(
                copy.deepcopy(self._model),
                per_channel=True,
                reduce_range=self._kind == "int8" and not self._symmetric,
                weight_qType=QuantType.QInt8,
                activation_qType=signed if self._symmetric else unsigned,
                tensors_range=self._ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=excluded,
                op_types_to_quantize=[*_COMPUTING, *_PASSING],
                extra_options={"ActivationSymmetric": self._symmetric, "WeightSymmetric": True},
            )
            model = quantizer.quantize_model()
            quantizer.model.topological_sort()
        del model.graph.value_info[:]
        return model

    def _fed(self, batch: np.ndarray) -> np.ndarray:
        """``(1, height, width, 3)`` as the float graph takes it."""
        batch = batch.astype(np.float32)
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if self._channels_first else batch

    def _is_float(self, node: onnx.NodeProto) -> bool:
        """Whether it computes on maps, not on their sizes."""
        known = {value.name: value for value in [*self._model.graph.value_info, *self._model.graph.output]}
        return known[node.output[0]].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


# --- which nodes ------------------------------------------------------------------------------------------


def _outside_of_convolutions(graph: onnx.GraphProto) -> frozenset[str]:
    """Nodes that no convolution stands before, or none behind."""
    before, behind = set(), set()  # tensors that depend on a convolution; that one depends on
    for node in graph.node:
        if node.op_type == "Conv" or before.intersection(node.input):
            before.update(node.output)
    for node in reversed(graph.node):
        if node.op_type == "Conv" or behind.intersection(node.output):
            behind.update(node.input)
    return frozenset(
        node.name
        for node in graph.node
        if node.op_type != "Conv"
        and not (before.intersection(node.output) and behind.intersection(node.output))
    )


def _probabilities(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The Softmax and what reads it."""
    reached, names = set(), []
    for node in graph.node:
        if node.op_type == "Softmax" or reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    return tuple(names)


def _activations_of(graph: onnx.GraphProto, layers: Iterable[str]) -> set[str]:
    """Relu and Clip that read one of the nodes."""
    outputs = {name for node in graph.node if node.name in set(layers) for name in node.output}
    return {n.name for n in graph.node if n.op_type in ("Relu", "Clip") and n.input[0] in outputs}


# --- the graph --------------------------------------------------------------------------------------------


def _ranges(model: onnx.ModelProto, batches: Sequence[np.ndarray]):
    """Smallest and largest value of every tensor that can be quantized."""

    class Reader:
        def __init__(self):
            self._left: Iterator[np.ndarray] = iter(batches)

        def get_next(self):
            batch = next(self._left, None)
            return None if batch is None else {INPUT_NAME: batch}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "float.onnx")
        onnx.save(model, path)
        calibrator = create_calibrator(
            path,
            [*_COMPUTING, *_PASSING],
            augmented_model_path=str(Path(folder, "ranges.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _take_bytes(graph: onnx.GraphProto) -> None:
    """Let the graph take uint8 images."""
    image = graph.input[0]
    image.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    for node in graph.node:
        node.input[:] = [_BYTES if name == image.name else name for name in node.input]
    cast = onnx.helper.make_node("Cast", [image.name], [_BYTES], name=_BYTES, to=onnx.TensorProto.FLOAT)
    graph.node.insert(0, cast)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice and its notices of what it leaves alone."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
