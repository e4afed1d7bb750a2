"""What a ``.weights.h5`` of Keras says about itself: shapes, names of layers, and what the zoo adds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import keras

from zoo import provenance
from zoo.errors import FormatError
from zoo.models.assignment import variables_of
from zoo.models.heads.classifier import AUXILIARY
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import check_h5
from zoo.weights.readers.keras_shards import groups_of, is_sharded


@dataclass(frozen=True, kw_only=True)
class Variables:
    """A file of variables, without their values.

    Attributes:
        shapes: How often each shape occurs.
        names: Names of the layers; empty in files of Keras versions that did not write them.
        width: Channels of the last convolution with a bias, a classifier.
        about: What the zoo wrote about the model (`zoo.provenance.to_text`), or `None`.
    """

    shapes: Counter
    names: frozenset[str]
    width: int
    about: str | None

    @property
    def has_auxiliary(self) -> bool:
        """Whether the model that was saved had a second output."""
        return any(name.split(".")[0] == AUXILIARY for name in self.names)

    def fits(self, model: keras.Model) -> bool:
        """Whether they may be the variables of a model: by its shapes and by the names of its layers."""
        shapes = Counter(tuple(v.shape) for v in variables_of(model).values())
        own = {layer.name for layer in model.layers}
        return shapes == self.shapes and (not self.names or self.names <= own)


def read_variables(path: Path) -> Variables:
    """The shapes and names of a file, or of the files that a ``.weights.json`` names; no values are read.

    Raises:
        FormatError: Not a file of variables that can be read, or none of a zoo model.
    """
    shapes, names, last, about = Counter(), set(), (-1, 0), None
    try:
        for layer, variables in _layers(path).items():
            if provenance.ABOUT in variables.found:
                about = provenance.from_bytes(variables.found[provenance.ABOUT], file=path.name)
                continue
            names.add(variables.name)
            found = [shape for _, shape in sorted(variables.found.items())]
            shapes.update(found)
            if [len(shape) for shape in found] == [4, 1] and "depthwise" not in layer:
                number = layer.rpartition("_")[2]
                last = max(last, (int(number) if number.isdigit() else 0, found[1][0]))
    except FormatError:
        raise
    except (*archive.DAMAGE, AttributeError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError(f"{path.name}: not a readable .weights.h5 file: {text[0][:200]}") from error
    if last[0] < 0:
        raise FormatError(f"{path.name}: holds no classifier, so it is no zoo model's weights")
    return Variables(shapes=shapes, names=frozenset(names - {""}), width=last[1], about=about)


@dataclass
class _Layer:
    """A layer's name, and the shapes of its variables; of what it says about the model, the bytes."""

    name: str = ""
    found: dict[str, object] = field(default_factory=dict)

    def add(self, variables: h5py.Group) -> None:
        if len(variables):
            self.name = variables.attrs.get("name", "")
        for key, value in variables.items():
            self.found[key] = value[()] if key == provenance.ABOUT else value.shape


def _layers(path: Path) -> dict[str, _Layer]:
    layers: dict[str, _Layer] = {}
    if not is_sharded(path):
        check_h5(path)
        with h5py.File(path, "r") as file:
            for name, group in file["layers"].items():
                layers.setdefault(name, _Layer()).add(group.get("vars", {}))
        return layers
    for shard, place in groups_of(path):
        words = place.strip("/").split("/")
        if len(words) == 3 and (words[0], words[2]) == ("layers", "vars"):
            with h5py.File(shard, "r") as file:
                layers.setdefault(words[1], _Layer()).add(file.get(place, {}))
    return layers
