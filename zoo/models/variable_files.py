"""What a ``.weights.h5`` of Keras says about itself: shapes, names of layers, and what the zoo adds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras

from zoo import provenance
from zoo.errors import FormatError
from zoo.models.assignment import variables_of
from zoo.models.heads.classifier import AUXILIARY
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import check_h5


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
    """The shapes and names of a file; no values are read.

    Raises:
        FormatError: Not a ``.weights.h5`` file that can be read, or none of a zoo model.
    """
    check_h5(path)
    shapes, names, last, about = Counter(), set(), (-1, 0), None
    try:
        with h5py.File(path, "r") as file:
            for name, group in file["layers"].items():
                variables = group.get("vars", {})
                if provenance.ABOUT in variables:
                    about = provenance.from_bytes(variables[provenance.ABOUT][()], file=path.name)
                    continue
                names.add(variables.attrs.get("name", "") if len(variables) else "")
                found = [v.shape for v in variables.values()]
                shapes.update(found)
                if [len(shape) for shape in found] == [4, 1] and "depthwise" not in name:
                    number = name.rpartition("_")[2]
                    last = max(last, (int(number) if number.isdigit() else 0, found[1][0]))
    except (*archive.DAMAGE, AttributeError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError(f"{path.name}: not a readable .weights.h5 file: {text[0][:200]}") from error
    if last[0] < 0:
        raise FormatError(f"{path.name}: holds no classifier, so it is no zoo model's weights")
    return Variables(shapes=shapes, names=frozenset(names - {""}), width=last[1], about=about)
