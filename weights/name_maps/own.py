"""The zoo's own files, whose tensors have the names of our variables."""

from zoo.weights.name_maps.base import NameMap


def _settings(source):
    return {"classes": int(source["classes"])} if "classes" in source else {}


ZOO = NameMap(key="zoo", layout="zoo", layers={"": ""}, ignored=("classes",), settings=_settings)
"""All variables of a model."""

ZOO_BACKBONE = NameMap(
    key="zoo_backbone", layout="zoo", layers={"": ""}, ignored=("classes",), scope=("backbone.",)
)
"""The backbone of another architecture."""
