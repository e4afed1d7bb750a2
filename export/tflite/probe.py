"""Intermediate tensors of a TFLite file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from zoo.export.core.artifact import Artifact
from zoo.export.tflite.artifact import run_once


def tensors(artifact: Artifact, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and real values of what the operations give, for ``(1, height, width, 3)`` in 0…255."""
    interpreter = Interpreter(
        model_path=str(artifact.path),
        experimental_preserve_all_tensors=True,
        # Within a delegate there are no tensors to look at.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    run_once(interpreter, image)
    known = {details["index"]: details for details in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        for index in map(int, operator["outputs"]):
            value, (scale, zero_point) = interpreter.get_tensor(index), known[index]["quantization"]
            if scale:
                value = np.float32(scale) * (value.astype(np.float32) - zero_point)
            yield known[index]["name"], value
