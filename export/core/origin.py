"""Where the weights in an artifact come from, as far as the catalog knows."""

from __future__ import annotations

from zoo.errors import InputError
from zoo.export.core.metadata import Metadata
from zoo.weights import catalog
from zoo.weights.entry import WeightsEntry


def catalog_entry(metadata: Metadata) -> WeightsEntry | None:
    """The catalog's entry of the weights that an artifact holds; `None` for weights of another origin."""
    source = metadata.source or {}
    if not source.get("model") or not source.get("weights"):
        return None
    try:
        return catalog.find(source["model"], source["weights"])
    except InputError:  # loaded from a file
        return None
