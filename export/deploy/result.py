"""What every rewrite returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from zoo.export.deploy.graph import Graph


class Result(NamedTuple):
    """A rewritten graph, and the account of it as in `zoo.export.deploy.Rewrite`."""

    graph: Graph
    places: int
    saved: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()
