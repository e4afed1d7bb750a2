"""Reads the weights of frozen graphs of TensorFlow 1 (``.pb``) as data: no operation is run."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers.archive import DAMAGE, allowed_bytes
from zoo.weights.readers.tf_values import FLOATS, array_of, counting, item_size, shape_of, tell_averages
from zoo.weights.readers.wire import content, fields, signed, text

# Ends of the names of TF-slim's variables; other constants of a graph are sizes and strides.
_VARIABLES = (
    "weights",
    "depthwise_weights",
    "biases",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "ExponentialMovingAverage",
)
_MAX_NODES = 200_000
_IMPORTED = "import/"  # the scope that tf.import_graph_def gives
# Numbers of fields: GraphDef.node; NodeDef.name, op, attr; of an attribute its key, its value, a tensor.
_NODE, _NAME, _OP, _ATTRIBUTE, _KEY, _VALUE, _TENSOR = 1, 1, 2, 5, 1, 2, 8


def read_graph(path: str | Path) -> dict[str, np.ndarray]:
    """The variables of a frozen graph, which are constants in it, by their names.

    Args:
        path: File of a ``GraphDef``.

    Returns:
        Float32 arrays in TensorFlow's order of axes.

    Raises:
        FormatError: No such file, a damaged one, or a graph without weights.
    """
    path = Path(path)
    try:
        return tensors_of(path.read_bytes(), file=path.name)
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from None
    except (*DAMAGE, struct.error) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path.name}: not a readable graph: {reason}") from error


def tensors_of(data: bytes, *, file: str) -> dict[str, np.ndarray]:
    """The same from the content of a file; `file` is for messages.

    Raises:
        FormatError: No graph, a damaged one, or one without weights.
    """
    found: dict[str, np.ndarray] = {}
    room = allowed_bytes(len(data))
    for count, (number, node) in enumerate(fields(memoryview(data))):
        if count > _MAX_NODES:
            raise FormatError(f"refused: a graph of more than {_MAX_NODES:,} nodes")
        constant = _constant(content(node)) if number == _NODE else None
        if constant is None:
            continue
        name, array = constant
        name = name.removeprefix(_IMPORTED)
        if name in found:
            raise FormatError(f"damaged: two constants are called {name[:80]!r}")
        found[name], room = array, room - array.nbytes
        if room < 0:
            raise FormatError("refused: its constants claim far more than a file of its size may")
    if not found:
        raise FormatError("holds no weights: a frozen graph has its variables as constants")
    chosen = counting(found)
    tell_averages(chosen, file=file)
    return {name: found[source] for name, source in chosen.items()}


def _constant(node: memoryview) -> tuple[str, np.ndarray] | None:
    """Name and values of a node that was a variable of floats; `None` for any other."""
    name, operation, attributes = "", "", []
    for number, value in fields(node):
        if number == _NAME:
            name = text(value)
        elif number == _OP:
            operation = text(value)
        elif number == _ATTRIBUTE:
            attributes.append(dict(fields(content(value))))
    if operation != "Const" or name.rpartition("/")[2] not in _VARIABLES:
        return None
    for attribute in attributes:
        if text(attribute.get(_KEY, memoryview(b""))) == "value":
            stated = dict(fields(content(attribute.get(_VALUE, memoryview(b"")))))
            array = _tensor(content(stated.get(_TENSOR, memoryview(b""))), name)
            return None if array is None else (name, array)
    return None


def _tensor(data: memoryview, name: str) -> np.ndarray | None:
    """A ``TensorProto`` of floats: its bytes, or one number for all places."""
    stated = list(fields(data))
    kind = next((signed(value) for number, value in stated if number == 1), 0)
    if kind not in FLOATS:
        return None
    shape = next((shape_of(content(value)) for number, value in stated if number == 2), ())
    raw = next((content(value) for number, value in stated if number == 4), memoryview(b""))
    if len(raw) or not math.prod(shape):
        return array_of(raw, kind, shape)
    values = b"".join(bytes(content(value)) for number, value in stated if number == 5) if kind == 1 else b""
    if kind == 1 and len(values) == item_size(kind) * math.prod(shape):
        return array_of(values, kind, shape)
    if kind == 1 and len(values) == item_size(kind) and math.prod(shape) <= len(data) * 1024:
        return np.full(shape, np.frombuffer(values, "<f4")[0], np.float32)
    raise FormatError(f"{name[:80]!r} has {len(values):,} bytes of numbers for the shape {shape}")
