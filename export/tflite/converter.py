"""Quantized TFLite files: half-precision or 8-bit weights, or integers throughout."""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from zoo.export.core.deployment import Deployment, serving_function, variables_of
from zoo.export.core.mask_head import SCOPE

_VERIFY = "NumericVerify/"


def float_converter(deployment: Deployment) -> tf.lite.TFLiteConverter:
    """A converter to builtin operations (no Flex, no SpaceToBatch) for the graph of static size.

    Dilated depthwise convolutions are one operation in it, which TensorFlow may not be able to run, see
    `zoo.layers.forward_only`.
    """
    serve, spec = serving_function(deployment, depthwise="native")
    function = serve.get_concrete_function(spec)
    # The converter reads variables where it needs them; a graph with its weights as constants it copies ten
    # times. What it does not find in the module, it takes for zeros.
    weights = tf.Module()
    weights.variables_read = variables_of(function)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], trackable_obj=weights)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def convert_weights(deployment: Deployment, *, kind: str) -> bytes:
    """Weights as ``"float16"``, or as int8 for each channel (``"dynamic"``: layers quantize as they run)."""
    converter = float_converter(deployment)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def convert_wide(deployment: Deployment, images: Sequence[np.ndarray]) -> bytes:
    """Activations of 16 bits with a zero point of 0, weights of 8 bits, and float32 ends.

    What has no such kernel is left in float.
    """
    converter = float_converter(deployment)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = functools.partial(_samples, images)
    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide, tf.lite.OpsSet.TFLITE_BUILTINS]
    with _quiet():
        return bytes(converter.convert())


class IntegerConverter:
    """Converts to int8 with a scale for each channel of the weights, any layers of choice left in float.

    The images are seen once, when the ranges of all layers are taken.

    Attributes:
        layers: Names of the layers that can be left in float, in the order of execution.
        tail: Those that always are: softmax and logarithm behind the logits, whose 8-bit result would have
            one value for most probabilities; and what makes a mask of the logits, where two classes that are
            equal in 8 bits would be decided by their number.
    """

    def __init__(self, deployment: Deployment, images: Sequence[np.ndarray]):
        self._images = images
        converter = float_converter(deployment)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = self._samples
        with _quiet():
            self._debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter, debug_dataset=self._samples
            )
        operators = _outputs(self._debugger.calibrated_model)
        codes = [code for code, _ in operators]
        names = [name for _, name in operators]
        softmax = schema.BuiltinOperator.SOFTMAX
        end = codes.index(softmax) if deployment.domain == "probabilities" else len(names)
        end = next((index for index, name in enumerate(names) if name.startswith(f"{SCOPE}/")), end)
        self.tail = tuple(names[end:])
        self.layers = tuple(names[:end])

    def convert(self, float_layers: Iterable[str] = ()) -> bytes:
        """The file with float32 ends; names of `layers` are left in float."""
        with _quiet():
            self._leave(float_layers)
            return bytes(self._debugger.get_nondebug_quantized_model())

    def _leave(self, float_layers: Iterable[str]) -> None:
        """Choose what stays in float; the debugger converts its probing model anew."""
        self._debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=[*float_layers, *self.tail]
        )

    def errors(self) -> dict[str, float]:
        """Relative error of every layer that int8 rounds, the largest first.

        That is the root mean square of what rounding changes in its output, over that of the output, when
        the layer is given what the 8-bit layers before it computed.
        """
        with _quiet():
            self._leave(())
            probe = tf.lite.experimental.QuantizationDebugger(
                quant_debug_model_content=self._debugger.quant_model,
                debug_dataset=self._samples,
                debug_options=tf.lite.experimental.QuantizationDebugOptions(
                    layer_direct_compare_metrics={"noise": _noise, "signal": _signal}
                ),
            )
            probe.run()
        errors = {}
        for verified, found in probe.layer_statistics.items():
            name = self._layer_of(verified)
            if name in self.layers:
                # A layer that gives nothing but zeros cannot be wrong by rounding.
                errors[name] = float(np.sqrt(found["noise"] / found["signal"])) if found["signal"] else 0.0
        return dict(sorted(errors.items(), key=lambda item: -item[1]))

    def _layer_of(self, verified: str) -> str:
        """The layer that ``NumericVerify/<name>:<index>`` watches, whose name may have got one more digit."""
        name = verified.removeprefix(_VERIFY).rsplit(":", 1)[0]
        shorter = re.sub(r"\d$", "", name)
        return shorter if shorter in (*self.layers, *self.tail) else name

    def _samples(self) -> Iterator[list[np.ndarray]]:
        return _samples(self._images)


def _samples(images: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    for index, image in enumerate(images):
        sample = image[None].astype(np.float32)
        if not index:
            # The input's range is that of a byte whatever the images hold: its scale must be 1.
            sample[0, 0, 0], sample[0, -1, -1] = 0, 255
        yield [sample]


def _outputs(content: bytes) -> list[tuple[int, str]]:
    """Builtin code and output tensor of every operation."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    return [
        (model.operatorCodes[op.opcodeIndex].builtinCode, _text(graph.tensors[int(op.outputs[0])].name))
        for op in graph.operators
    ]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _noise(real: np.ndarray, stored: np.ndarray, scale: float, zero_point: int) -> float:
    return float(np.sum((np.float64(scale) * (stored.astype(np.int32) - zero_point) - real) ** 2))


def _signal(real: np.ndarray, stored: np.ndarray, scale: float, zero_point: int) -> float:
    return float(np.sum(real.astype(np.float64) ** 2))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the notices that TensorFlow's interpreter moves, and of dead channels' statistics."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
