"""Sizes of all maps from the size of the input, so that converters see constants instead of computations."""

from __future__ import annotations

from zoo.export.deploy.graph import Graph, with_static_shapes
from zoo.export.deploy.result import Result


def static_shapes(graph: Graph, size: tuple[int, int] | None) -> Result:
    """Fix height and width of the input at `size`; `None` leaves the graph as it is. The batch stays free."""
    if size is None:
        return Result(graph, 0)
    fixed = with_static_shapes(graph, size)
    # Axis 0 is the batch.
    places = sum(
        None in graph.shapes[ref][1:] and None not in shape[1:] for ref, shape in fixed.shapes.items()
    )
    return Result(fixed, places)
