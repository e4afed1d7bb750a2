"""What is quantized in a TFLite file, and which of its operations stay in float."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from zoo.errors import InputError
from zoo.export.core.deployment import Deployment
from zoo.export.core.float_layers import measured, quantize_with
from zoo.export.core.mask_head import SCOPE
from zoo.export.core.metadata import OUTPUT_NAME
from zoo.export.core.quantization import FloatOperation, Plan, Quantization
from zoo.export.tflite.artifact import float_operations, run_once
from zoo.export.tflite.converter import IntegerConverter, convert_weights, convert_wide
from zoo.export.tflite.ends import Affine, with_integer_ends
from zoo.layers.preprocessing import Normalize

# Operations that an error names.
_SHOWN = 4


def quantize_weights(deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The file with float16 or 8-bit weights, and what was done.

    Raises:
        ParityError: The bound is missed; the converter quantizes all layers or none.
    """
    content = convert_weights(deployment, kind=plan.kind)
    return content, measured(deployment, plan, lambda: _runner(content))


def quantize_integers(deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The int8 file with uint8 ends, and what was done, see `zoo.export.core.float_layers`."""
    return quantize_with(_TFLite(deployment, plan.calibration.images), deployment, plan)


def quantize_wide(deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The file with 16-bit activations and 8-bit weights, and what was done.

    Raises:
        InputError: Operations that have no 16-bit kernel, but for those of a mask's head.
        ParityError: The bound is missed; the converter quantizes all layers.
    """
    content = convert_wide(deployment, plan.calibration.images)
    tail = [name for _, name in float_operations(content) if deployment.metadata.gives_mask]
    operations = _explained(content, {}, tail)
    _require_integers(operations, remedy="no layer of a 16-bit file is left in float: choose int8")
    done = measured(deployment, plan, lambda: _runner(content))
    return content, dataclasses.replace(done, integer_score=done.score, float_operations=operations)


class _TFLite:
    """A `Converter`."""

    def __init__(self, deployment: Deployment, images: Sequence[np.ndarray]):
        self._converter = IntegerConverter(deployment, images)
        self._normalization = _normalization_of(deployment)
        self.errors = self._converter.errors
        self.runner = _runner

    def file(self, float_layers: Iterable[str]) -> bytes:
        content = self._converter.convert(float_layers)
        return with_integer_ends(content, normalization=self._normalization)

    def float_operations(
        self, content: bytes, errors: Mapping[str, float], *, bounded: bool
    ) -> tuple[FloatOperation, ...]:
        operations = _explained(content, errors, self._converter.tail)
        if not bounded:
            _require_integers(operations, remedy="give max_drop to accept layers in float")
        return operations


def _normalization_of(deployment: Deployment) -> Affine | None:
    """That of all three channels, where it is one."""
    layer = next((x for x in deployment.network.layers if isinstance(x, Normalize)), None)
    if layer is None or len(set(layer.mean)) > 1 or len(set(layer.scale)) > 1:
        return None
    return Affine(layer.mean[0], layer.scale[0])


def _runner(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    interpreter = Interpreter(model_content=content, num_threads=2)
    interpreter.allocate_tensors()
    return functools.partial(run_once, interpreter)


def _explained(
    content: bytes, errors: Mapping[str, float], tail: Sequence[str]
) -> tuple[FloatOperation, ...]:
    """What computes in float in the file itself, and why."""
    operations = []
    for operation, tensor in float_operations(content):
        meant = "mask" if tensor.startswith(f"{SCOPE}/") else "probabilities"
        reason = "max_drop" if tensor in errors else meant if tensor in tail else "no int8 kernel"
        operations.append(
            FloatOperation(
                operation=operation,
                layer=_layer_of(tensor),
                tensor=tensor,
                relative_error=errors.get(tensor),
                reason=reason,
            )
        )
    return tuple(operations)


def _require_integers(operations: Iterable[FloatOperation], *, remedy: str) -> None:
    """Raise an `InputError` where an operation is in float that was not meant to be."""
    unmeant = [f"{op.operation} ({op.layer})" for op in operations if op.reason == "no int8 kernel"]
    if unmeant:
        more = f" and {len(unmeant) - _SHOWN} more" if len(unmeant) > _SHOWN else ""
        raise InputError(
            f"not everything can be computed in integers: {', '.join(unmeant[:_SHOWN])}{more}; {remedy}"
        )


def _layer_of(tensor: str) -> str:
    """``block2.add`` of ``model_1/block2.add_1/Add``; of a fused operation, the last layer."""
    parts = tensor.rsplit(";", 1)[-1].split("/")
    # The graph's own output has the name of no layer.
    return re.sub(r"_\d+$", "", parts[1]) if len(parts) > 1 else OUTPUT_NAME
