"""ONNX files whose values lie in other files, which nothing here writes and no reader should follow."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from zoo.errors import FormatError


def check_inside(model: onnx.ModelProto) -> None:
    """Refuse a model of which any tensor, wherever it stands, is kept outside the file.

    Raises:
        FormatError: Names the tensor.
    """
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise FormatError(f"tensor {tensor.name[:80]!r} lies outside the file, which is refused")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    graphs = [model.graph, *(g for t in model.training_info for g in (t.initialization, t.algorithm))]
    pending = [list(function.node) for function in model.functions]
    while graphs or pending:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            yield from (t for sparse in graph.sparse_initializer for t in (sparse.values, sparse.indices))
            pending.append(graph.node)
            continue
        for attribute in (a for node in pending.pop() for a in node.attribute):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            graphs.extend(attribute.graphs)
