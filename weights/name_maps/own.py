"""The zoo's own files, whose tensors have the names of our variables."""

from zoo.weights.name_maps.base import NameMap


def _settings(source):
    """The number of classes, and what the file says of its model (`zoo.provenance.to_text`)."""
    classes = {"classes": int(source["classes"])} if "classes" in source else {}
    return {**classes, **({"about": str(source["about"])} if "about" in source else {})}


_NO_VARIABLES = ("classes", "about")


ZOO = NameMap(key="zoo", layout="zoo", layers={"": ""}, ignored=_NO_VARIABLES, settings=_settings)
"""All variables of a model."""

ZOO_BACKBONE = NameMap(
    key="zoo_backbone", layout="zoo", layers={"": ""}, ignored=_NO_VARIABLES, scope=("backbone.",)
)
"""The backbone of another architecture."""
