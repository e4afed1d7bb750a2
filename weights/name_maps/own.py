"""The zoo's own files, whose tensors have the names of our variables."""

from zoo.weights.name_maps.base import NameMap


def _settings(source):
    return {"classes": int(source["classes"])}


ZOO = NameMap(key="zoo", reader="npz", layers={"": ""}, ignored=("classes",), settings=_settings)
"""All variables of a model."""

ZOO_BACKBONE = NameMap(
    key="zoo_backbone", reader="npz", layers={"": ""}, ignored=("classes",), scope=("backbone.",)
)
"""The backbone of another architecture."""
