"""Operations that move and choose values instead of computing new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zoo.errors import InputError
from zoo.export.coreml.source import Operation
from zoo.export.coreml.tools import Builder as mb
from zoo.export.coreml.tools import types
from zoo.export.coreml.values import AXIS, Inputs, Value, as_computed, maps_first, maps_last, of_constant


def _pad(operation: Operation, inputs: Inputs, name: str) -> Value:
    amounts = np.asarray(inputs[1], np.int32)
    fill = np.float32(inputs[2] if len(inputs) > 2 else 0)
    if inputs[0].first:
        amounts = amounts[[0, 3, 1, 2]]
    padded = mb.pad(
        x=inputs[0].variable, pad=amounts.reshape(-1), mode="constant", constant_val=fill, name=name
    )
    return Value(padded, inputs[0].first)


def _concat(operation: Operation, inputs: Inputs, name: str) -> Value:
    *parts, axis = inputs
    rank = len(operation.shape)
    parts = [p if isinstance(p, Value) else of_constant(p, f"{name}_{i}") for i, p in enumerate(parts)]
    axis = int(axis) % rank
    if rank == 4:
        return Value(mb.concat(values=[maps_first(p) for p in parts], axis=AXIS[axis], name=name), first=True)
    return Value(mb.concat(values=[p.variable for p in parts], axis=axis, name=name))


def _reshape(operation: Operation, inputs: Inputs, name: str) -> Value:
    return Value(mb.reshape(x=maps_last(inputs[0]), shape=list(operation.shape), name=name))


def _transpose(operation: Operation, inputs: Inputs, name: str) -> Value:
    return Value(mb.transpose(x=maps_last(inputs[0]), perm=[int(n) for n in inputs[1]], name=name))


def _slice(operation: Operation, inputs: Inputs, name: str) -> Value:
    begin, end, step, dropped = _bounds(operation, *inputs[1:])
    first = inputs[0].first and not dropped
    x = inputs[0].variable if first else maps_last(inputs[0])
    if first:
        begin, end, step = ([n[0], n[3], n[1], n[2]] for n in (begin, end, step))
    part = mb.slice_by_index(
        x=x,
        begin=begin,
        end=[max(n, 0) for n in end],
        stride=step,
        # Backwards to the first element is to one before it, which no number says.
        end_mask=[n < 0 for n in end],
        squeeze_mask=[axis in dropped for axis in range(len(begin))],
        name=name,
    )
    return Value(part, first)


def _bounds(operation: Operation, begins, ends, steps) -> tuple[list, list, list, set]:
    """Begin, end and step of every axis, and the axes of which one element is taken."""
    shape, masks = (
        operation.input_shapes[0],
        {key: operation.attribute(f"{key}_mask") for key in ("begin", "end", "ellipsis", "shrink_axis")},
    )
    if operation.attribute("new_axis_mask"):
        raise InputError(f"{operation.name} adds an axis, which the Core ML export does not write")
    parts = list(range(len(begins)))
    ellipsis = next((i for i in parts if masks["ellipsis"] >> i & 1), None)
    if ellipsis is not None:
        missing = len(shape) - len(parts) + 1
        parts[ellipsis : ellipsis + 1] = [None] * missing
    parts += [None] * (len(shape) - len(parts))
    found, dropped = [], set()
    for axis, (index, size) in enumerate(zip(parts, shape, strict=True)):
        if index is None:
            found.append((0, size, 1))
            continue
        step, start = int(steps[index]), int(begins[index])
        if masks["shrink_axis"] >> index & 1:
            dropped.add(axis)
            found.append((start % size, start % size + 1, 1))
            continue
        start, stop = (
            None if masks[key] >> index & 1 else int(bounds[index])
            for key, bounds in (("begin", begins), ("end", ends))
        )
        found.append(slice(start, stop, step).indices(size))
    return *(list(column) for column in zip(*found, strict=True)), dropped


def _arg_max(operation: Operation, inputs: Inputs, name: str) -> Value:
    axis = int(inputs[1]) % len(operation.input_shapes[0])
    first = inputs[0].first and axis == 3
    x = inputs[0].variable if first else maps_last(inputs[0])
    return Value(mb.reduce_argmax(x=x, axis=AXIS[axis] if first else axis, keep_dims=False, name=name))


def _cast(operation: Operation, inputs: Inputs, name: str) -> Value:
    to, value = operation.attribute("DstT"), inputs[0]
    if to.is_integer == types.is_int(value.variable.dtype):
        return value
    return Value(
        mb.cast(x=value.variable, dtype="int32" if to.is_integer else "fp32", name=name), value.first
    )


def _gather(operation: Operation, inputs: Inputs, name: str) -> Value:
    values, indices, axis = inputs
    axis = int(axis) % len(operation.input_shapes[0])
    gathered = mb.gather(x=maps_last(values), indices=as_computed(np.asarray(indices)), axis=axis, name=name)
    return Value(gathered)


def _depth_to_space(operation: Operation, inputs: Inputs, name: str) -> Value:
    # Core ML's own operation takes no integers, and its words leave the order of a block's pixels open.
    side, x = operation.attribute("block_size"), maps_first(inputs[0])
    _, height, width, channels = operation.shape
    cells = [side, side * channels, height // side, width // side]
    x = mb.transpose(x=mb.reshape(x=x, shape=cells), perm=(2, 0, 3, 1))
    x = mb.reshape(x=x, shape=[1, height, width, channels], name=name)
    return Value(x)


MOVES: Mapping[str, Callable[[Operation, Inputs, str], Value]] = {
    "ArgMax": _arg_max,
    "Cast": _cast,
    "ConcatV2": _concat,
    "DepthToSpace": _depth_to_space,
    "GatherV2": _gather,
    "Pad": _pad,
    "PadV2": _pad,
    "Reshape": _reshape,
    "StridedSlice": _slice,
    "Transpose": _transpose,
}
