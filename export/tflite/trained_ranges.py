"""An int8 TFLite file of a network that learned the ranges of its tensors, which need no calibration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from zoo.errors import ParityError
from zoo.export.core.deployment import Deployment
from zoo.export.core.metadata import OUTPUT_NAME
from zoo.export.core.quantization import FloatOperation, Quantization
from zoo.export.core.staging import writing
from zoo.export.tflite.artifact import float_operations
from zoo.export.tflite.converter import float_converter
from zoo.export.tflite.ends import with_integer_ends
from zoo.export.tflite.writer import annotate


def write(deployment: Deployment, path: Path, *, left: Mapping[str, str]) -> Quantization:
    """Write the file `path` and tell what was done.

    Args:
        deployment: Of a network that rounds by `zoo.layers.fake_quantization`.
        path: Of the file.
        left: Why a layer is in float, by its name.

    Raises:
        ParityError: Another layer computes in float.
    """
    converter = float_converter(deployment)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]  # take the ranges of the graph
    content = with_integer_ends(bytes(converter.convert()))
    operations = _float_operations(content, left)
    with writing(path):
        path.write_bytes(annotate(content, deployment.metadata))
    return Quantization(kind="int8", calibration_images=0, float_operations=operations)


def _float_operations(content: bytes, left: Mapping[str, str]) -> tuple[FloatOperation, ...]:
    """Operations in float with the reason of their layer; a `ParityError` names those without one."""
    found = []
    for operation, tensor in float_operations(content):
        layer = next((name for name in _layers_of(tensor) if name in left), None)
        if layer is None:
            raise ParityError(f"{operation} ({tensor}) computes in float, though its layer learned 8 bits")
        parts = {"operation": operation, "layer": layer, "tensor": tensor, "reason": left[layer]}
        found.append(FloatOperation(**parts, relative_error=None))
    return tuple(found)


def _layers_of(tensor: str) -> list[str]:
    """Layers in the converter's name of a tensor, such as ``model_1/block.add_1/Add;model_1/block.relu_1/…``.

    The output of the graph has the name of no layer; it is that of the logits.
    """
    names = [re.sub(r"_\d+$", "", part.split("/")[1]) for part in tensor.split(";") if "/" in part]
    return names or [OUTPUT_NAME]
