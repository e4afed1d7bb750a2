"""Reads the graph of a functional Keras model: the calls of its layers, each behind those that it reads.

Keras offers the calls themselves, of which a shared layer has several, only under private names. They are
read here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one layer.

    Attributes:
        operation: The layer, or the plain operation.
        inputs: Tensors that it reads, in the order of its arguments; none for an input of the model.
        outputs: Tensors that it makes.
        symbolic: Keras' record of its arguments; `arguments` reads it.
    """

    operation: Any
    inputs: tuple
    outputs: tuple
    symbolic: Any

    @property
    def is_input(self) -> bool:
        """Whether it stands for an input of the model, which nothing computes."""
        return not self.inputs

    def arguments(self, values: Mapping[int, Any]) -> tuple[tuple, dict[str, Any]]:
        """Its positional and keyword arguments, with ``values[id(tensor)]`` in the place of each tensor."""
        return self.symbolic.fill_in(values)


def is_functional(model: Any) -> bool:
    """Whether a model has a graph of calls: `keras.Model(inputs, outputs)`, not a subclass or a sequence."""
    return hasattr(model, "_nodes_by_depth")


def functional_of(operation: Any) -> Any | None:
    """The functional model in a layer: itself, or what a built sequence holds; `None` where there is none."""
    graph = getattr(operation, "_functional", operation)
    return graph if is_functional(graph) else None


def is_nested(operation: Any) -> bool:
    """Whether a layer is a model with calls of its own, as far as it is built."""
    return is_functional(operation) or hasattr(operation, "_functional")


def calls(model: Any) -> list[Call]:
    """The calls of a functional model, inputs first, each behind those whose results it reads.

    Raises:
        InputError: No functional model.
    """
    if not is_functional(model):
        raise InputError(f"only a functional keras.Model has a graph to read, not {model!r}")
    return [
        Call(
            node.operation,
            () if node.is_input else tuple(node.input_tensors),
            tuple(node.outputs),
            node.arguments,
        )
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]


def maker_of(tensor: Any) -> Any:
    """The layer or operation that made a tensor of a functional model."""
    return tensor._keras_history.operation


def parts_of(layer: Any) -> list:
    """The layers that a layer holds, without itself."""
    return list(getattr(layer, "_flatten_layers", lambda **_: ())(include_self=False))
