"""The search of the first layer that differs.

It is that of ``git bisect`` on a history with merges: each step looks behind the layer that divides the
layers under suspicion most evenly. A layer that is right clears all that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from zoo.export.deploy.graph import Graph
from zoo.export.proof.parity import MAX_ERROR, USUAL_LOGIT, Parity


@dataclass(frozen=True, kw_only=True)
class FirstDifference:
    """The first layer whose output differs, though what it is given does not.

    Attributes:
        layer: Its name.
        kind: Its class.
        merged: Layers before it whose own output could not be seen; the difference may be one of theirs.
        max_error: Largest absolute difference of its output; NaN where not even the shape is right, or
            where it cannot be seen itself.
        max_value: Largest absolute value that the model computes there.
        limit: Of `max_error`: the share of the largest value that the artifact's gate allows the logits.
        compared: Number of layers that were compared.
        layers: Number of layers of the network, as it was rewritten for deployment.
        method: How, in words.
    """

    layer: str
    kind: str
    merged: tuple[str, ...]
    max_error: float
    max_value: float
    limit: float
    compared: int
    layers: int
    method: str

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {k: None if v != v else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        merged = f", or in {', '.join(map(repr, self.merged))} before it" if self.merged else ""
        size = (
            f"error {self.max_error:.1e} of values up to {self.max_value:.3g} (limit {self.limit:.1e})"
            if self.max_error == self.max_error
            else "not a number, of another shape, or not to be seen"
        )
        return (
            f"first differs in layer {self.layer!r} ({self.kind}){merged}: {size};"
            f" compared: {self.compared} of {self.layers} layers, {self.method}"
        )


# --- the search -------------------------------------------------------------------------------------------


def bisect(graph: Graph, differs: Callable[[str], bool | None]) -> tuple[str, list[str]]:
    """The first layer that differs, where the output does.

    Args:
        graph: Of the network.
        differs: Whether a layer's output does; `None` where that cannot be seen.

    Returns:
        Key of the layer, and keys of those before it that could not be seen and were not cleared.
    """
    above = above_of(graph)
    order, end = list(above), graph.output.node
    suspects, unseen = above[end] - {end}, set()
    while candidates := [key for key in order if key in suspects and key not in unseen]:
        half = min(candidates, key=lambda key: abs(2 * len(above[key] & suspects) - len(suspects)))
        verdict = differs(half)
        if verdict is None:
            unseen.add(half)
        elif verdict:
            end, suspects = half, (above[half] & suspects) - {half}
        else:
            suspects -= above[half]
    return end, [key for key in order if key in suspects]


def above_of(graph: Graph) -> dict[str, frozenset[str]]:
    """Each layer with all that it depends on, in the order of execution."""
    above: dict[str, frozenset[str]] = {}
    for key, node in graph.walk():
        if key != graph.input:
            parents = (ref.node for ref in node.inputs if ref.node in above)
            above[key] = frozenset({key}).union(*(above[parent] for parent in parents))
    return above


class Layers:
    """Compares layers of a network and remembers the numbers."""

    def __init__(self, graph: Graph, share: float):
        self.graph, self.share = graph, share
        self.seen: dict[str, tuple[float, float]] = {}

    def differs(self, key: str, got: np.ndarray, want: np.ndarray) -> bool:
        """Whether the output of a layer exceeds the limit."""
        same = got.shape == want.shape
        error = float(np.abs(got.astype(np.float64) - want).max()) if same else float("nan")
        self.seen[key] = (error, float(np.abs(want).max()))
        return not error <= self.limit(key)

    def limit(self, key: str) -> float:
        return self.share * self.seen[key][1]

    def found(self, key: str, merged: list[str], *, method: str) -> FirstDifference:
        self.seen.setdefault(key, (float("nan"), float("nan")))
        error, value = self.seen[key]
        return FirstDifference(
            layer=key,
            kind=self.graph.nodes[key].unit.kind.__name__,
            merged=tuple(merged),
            max_error=error,
            max_value=value,
            limit=self.limit(key),
            compared=sum(value == value for _, value in self.seen.values()),
            layers=len(list(self.graph.walk())) - 1,
            method=method,
        )


def share_of(parity: Parity) -> float:
    """What the gate allows the logits, as a share of the largest."""
    if parity.tolerance is None or not parity.max_logit > 0:
        return MAX_ERROR / USUAL_LOGIT
    return parity.tolerance / parity.max_logit
