"""Rewrites of a converted ONNX graph that keep its function and help the runtimes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import helper, numpy_helper


def simplify(model: onnx.ModelProto) -> None:
    """Apply all rewrites, in place."""
    state_pads(model.graph)
    fold_pads(model.graph)
    fold_batch_norm(model.graph)
    hoist_transposes(model.graph)
    drop_unused(model)
    order_nodes(model.graph)
    order_constants(model.graph)


def _attributes(node: onnx.NodeProto) -> dict:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _set(node: onnx.NodeProto, **attributes) -> None:
    kept = [a for a in node.attribute if a.name not in attributes]
    added = [helper.make_attribute(k, v) for k, v in attributes.items() if v is not None]
    del node.attribute[:]
    node.attribute.extend([*kept, *added])


def _uses(graph: onnx.GraphProto) -> Counter:
    """How often each tensor is read; the graph's outputs count."""
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    return uses


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def state_pads(graph: onnx.GraphProto) -> None:
    """State the padding of stride-1 convolutions in pixels.

    Where sizes are dynamic, tf2onnx writes ``auto_pad=SAME_UPPER``, which ONNX Runtime refuses together with
    a dilation. At stride 1 the padding does not depend on the size.
    """
    for node in graph.node:
        attributes = _attributes(node)
        same = attributes.get("auto_pad") == b"SAME_UPPER"
        if node.op_type != "Conv" or not same or max(attributes.get("strides", [1])) > 1:
            continue
        kernel = attributes["kernel_shape"]
        rates = attributes.get("dilations", [1] * len(kernel))
        reach = [rate * (k - 1) for k, rate in zip(kernel, rates, strict=True)]
        before = [r // 2 for r in reach]
        after = [r - b for r, b in zip(reach, before, strict=True)]
        _set(node, auto_pad=None, pads=before + after)


def fold_pads(graph: onnx.GraphProto) -> None:
    """Let a convolution pad by itself instead of reading a padded copy of its input."""
    constants, uses = _constants(graph), _uses(graph)
    makers = {name: node for node in graph.node for name in node.output}
    for conv in [n for n in graph.node if n.op_type == "Conv"]:
        pad, attributes = makers.get(conv.input[0]), _attributes(conv)
        if pad is None or pad.op_type != "Pad" or uses[pad.output[0]] > 1:
            continue
        amounts = _zero_padding(pad, constants)
        stated = attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
        if amounts is None or not stated:
            continue
        own = attributes.get("pads", [0] * len(amounts))
        total = [a + b for a, b in zip(amounts, own, strict=True)]
        _set(conv, auto_pad=None, pads=total)
        conv.input[0] = pad.input[0]
        graph.node.remove(pad)


def _zero_padding(pad: onnx.NodeProto, constants: dict) -> list[int] | None:
    """[top, left, bottom, right] that an NCHW Pad adds; `None` if it does anything else."""
    amounts = constants.get(pad.input[1])
    value = constants.get(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else None
    constant = _attributes(pad).get("mode", b"constant") == b"constant"
    unknown_value = len(pad.input) > 2 and pad.input[2] and value is None
    if amounts is None or not constant or unknown_value or len(pad.input) > 3:
        return None
    if value is not None and numpy_helper.to_array(value).any():
        return None
    rows = numpy_helper.to_array(amounts).reshape(2, -1)
    if rows.shape != (2, 4) or rows[:, :2].any() or rows.min() < 0:
        return None
    return [int(n) for n in rows[:, 2:].ravel()]


def fold_batch_norm(graph: onnx.GraphProto) -> None:
    """Fold constants for each channel, multiplied or added behind a convolution, into its weights.

    tf2onnx leaves those of batch norm behind depthwise convolutions.
    """
    constants, uses = _constants(graph), _uses(graph)
    makers = {name: node for node in graph.node for name in node.output}
    for node in [n for n in graph.node if n.op_type in ("Mul", "Add")]:
        conv, constant = makers.get(node.input[0]), constants.get(node.input[1])
        if conv is None or constant is None or conv.op_type != "Conv" or uses[node.input[0]] > 1:
            continue
        weights = [constants.get(name) for name in conv.input[1:]]
        values = numpy_helper.to_array(constant)
        private = None not in weights and all(uses[tensor.name] == 1 for tensor in weights)
        if not private or values.shape != (1, weights[0].dims[0], 1, 1):
            continue
        if node.op_type == "Mul":
            _scale(weights, values.ravel())
        else:
            _shift(graph, conv, weights, values.ravel())
        conv.output[0] = node.output[0]
        makers[node.output[0]] = conv
        graph.node.remove(node)
        constants, uses = _constants(graph), _uses(graph)


def _scale(weights: list[onnx.TensorProto], factors: np.ndarray) -> None:
    """Multiply kernel and bias, in place."""
    for tensor in weights:
        values = numpy_helper.to_array(tensor)
        values = values * factors.reshape(-1, *[1] * (values.ndim - 1))
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _shift(graph: onnx.GraphProto, conv: onnx.NodeProto, weights: list, values: np.ndarray) -> None:
    """Add to the bias, or give the convolution one."""
    if len(weights) == 2:
        total = numpy_helper.to_array(weights[1]) + values
        weights[1].CopyFrom(numpy_helper.from_array(total, weights[1].name))
        return
    name = f"{conv.output[0]}_bias"
    graph.initializer.append(numpy_helper.from_array(values, name))
    conv.input.append(name)


def hoist_transposes(graph: onnx.GraphProto) -> None:
    """Transpose before an Expand (image pooling's single cell) instead of the whole map after it."""
    constants, uses = _constants(graph), _uses(graph)
    makers = {name: node for node in graph.node for name in node.output}
    for last in [n for n in graph.node if n.op_type == "Transpose"]:
        expand = makers.get(last.input[0])
        if expand is None or expand.op_type != "Expand" or uses[expand.output[0]] > 1:
            continue
        order = list(_attributes(last)["perm"])
        shape = constants.get(expand.input[1])
        if shape is not None and list(shape.dims) != [len(order)]:
            continue  # Expand may add leading axes; then the permutation is another
        first, sizes, shape_name = _hoisted(graph, expand, order=order, shape=shape)
        wide = helper.make_node("Expand", [first.output[0], shape_name], [last.output[0]], expand.name)
        position = list(graph.node).index(expand)
        graph.node.remove(expand)
        graph.node.remove(last)
        for node in [wide, *sizes, first]:
            graph.node.insert(position, node)


def _hoisted(graph: onnx.GraphProto, expand: onnx.NodeProto, *, order: list[int], shape):
    """The Transpose of Expand's input, the nodes that permute its target shape, and that shape's name."""
    name = expand.output[0]
    first = helper.make_node("Transpose", [expand.input[0]], [f"{name}_cell"], perm=order)
    permuted = f"{name}_shape"
    if shape is not None:
        values = numpy_helper.to_array(shape)[order]
        graph.initializer.append(numpy_helper.from_array(values, permuted))
        return first, [], permuted
    indices = numpy_helper.from_array(np.asarray(order, np.int64), f"{name}_order")
    graph.initializer.append(indices)
    gather = helper.make_node("Gather", [expand.input[1], indices.name], [permuted], axis=0)
    return first, [gather], permuted


def order_nodes(graph: onnx.GraphProto) -> None:
    """List the nodes as a walk back from the outputs needs them; TensorFlow's order differs by process."""
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output}
    order, seen = [], set()
    ends = [makers[value.name] for value in graph.output if value.name in makers]
    pending = [(place, False) for place in reversed(ends)]
    while pending:
        place, is_ready = pending.pop()
        if is_ready:
            order.append(place)
        elif place not in seen:
            seen.add(place)
            pending.append((place, True))
            before = [makers[name] for name in _read_by(graph.node[place]) if name in makers]
            pending += [(other, False) for other in reversed(before)]
    order += [place for place in range(len(graph.node)) if place not in seen]
    nodes = [graph.node[place] for place in order]
    ordered = onnx.GraphProto(node=nodes)
    del graph.node[:]
    graph.node.extend(ordered.node)


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, by itself or in the branches that it holds."""
    inner = [graph for a in node.attribute for graph in (*a.graphs, a.g)]
    return [*node.input, *(name for graph in inner for part in graph.node for name in _read_by(part))]


def order_constants(graph: onnx.GraphProto) -> None:
    """List the constants in the order in which nodes read them; tf2onnx has one that differs by process."""
    readings = (name for node in graph.node for name in node.input)
    order = {name: place for place, name in reversed(list(enumerate(readings)))}
    constants = sorted(graph.initializer, key=lambda tensor: order.get(tensor.name, len(order)))
    del graph.initializer[:]
    graph.initializer.extend(constants)


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove constants and operator domains that nothing reads."""
    uses = _uses(model.graph)
    kept = [tensor for tensor in model.graph.initializer if uses[tensor.name]]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    domains = {node.domain for node in model.graph.node} | {""}
    opsets = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
