"""Intermediate tensors of an ONNX file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import onnx

from zoo.export.core.artifact import Artifact
from zoo.export.onnx.artifact import session_of

# Tensors that tf2onnx put between the operations of the original graph.
_AUXILIARY = re.compile(r"__\d+(:\d+)?$")
_DEFAULT_THREADS = 0  # as many as there are cores


def tensors(artifact: Artifact, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and real values of what the nodes give, for ``(1, height, width, 3)`` in 0…255."""
    model = onnx.load(artifact.path)
    outputs = {entry.name for entry in model.graph.output}
    names = [n for node in model.graph.node for n in node.output if n and not _AUXILIARY.search(n)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
    session = session_of(model.SerializeToString(), threads=_DEFAULT_THREADS)
    source = session.get_inputs()[0]
    if artifact.metadata.layout == "nchw":
        image = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    if source.type == "tensor(uint8)":
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    for name, value in zip(names, session.run(names, {source.name: image}), strict=True):
        if value.dtype == np.float32:  # of integers, what they stand for follows
            yield name, value
