"""Which layers are pruned or clustered, and how sparse and how small the result is."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo.errors import InputError
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.models.heads.classifier import is_classifier

_CONVOLUTIONS = (DilatedConv2D, DilatedDepthwiseConv2D)


def select(model: keras.Model, layers: Sequence[str] | None = None) -> list[str]:
    """Names of the convolutions to compress, in the order of the model.

    The stem (the first convolution, and those named so) and the classifiers carry little and harm much, and
    depthwise kernels are small: they are taken only if they are asked for by their own name, the name of
    their block, or ``"classifier"``.

    Args:
        model: A zoo model.
        layers: Beginnings of layers' names up to a dot, such as ``"backbone"`` or ``"aspp.conv1"``; `None`
            for all layers but those above.

    Raises:
        InputError: A name that no convolution has; lists the parts of this model.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, _CONVOLUTIONS)]
    if layers is None:
        chosen = [layer.name for layer in convolutions if not _spared(layer, convolutions)]
        if not chosen:
            raise InputError(f"model {model.name!r} has no convolution besides stem and classifier")
        return chosen
    chosen = set()
    for name in layers:
        found = [layer for layer in convolutions if f"{layer.name}.".startswith(f"{name}.")]
        found = [x for x in found if not _spared(x, convolutions) or _asked(x.name, name)]
        if not found:
            known = dict.fromkeys(layer.name.split(".")[0] for layer in convolutions)
            raise InputError(f"no convolution to compress at {name!r}; there are {', '.join(known)}")
        chosen.update(layer.name for layer in found)
    return [layer.name for layer in convolutions if layer.name in chosen]


def _spared(layer, convolutions) -> bool:
    stem = layer is convolutions[0] or any(word.startswith("stem") for word in layer.name.split("."))
    return stem or is_classifier(layer.name) or isinstance(layer, DilatedDepthwiseConv2D)


def _asked(name: str, by: str) -> bool:
    return by in (name, name.rpartition(".")[0]) or is_classifier(by)


@dataclass(frozen=True)
class LayerSparsity:
    """Zeros in the kernel of one convolution.

    Attributes:
        layer: Its name.
        weights: Number of values.
        zeros: Those that are 0.
        values: Number of different values, 0 included.
        selected: Whether it was chosen for compression.
    """

    layer: str
    weights: int
    zeros: int
    values: int
    selected: bool = True

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return self.zeros / self.weights


@dataclass(frozen=True)
class SparsityReport:
    """Zeros in the kernels of a model.

    Attributes:
        layers: One entry per convolution, in the order of the model.
    """

    layers: tuple[LayerSparsity, ...]

    @property
    def sparsity(self) -> float:
        """Share of zeros in the kernels of all convolutions."""
        return sum(x.zeros for x in self.layers) / max(1, sum(x.weights for x in self.layers))

    @property
    def selected_sparsity(self) -> float:
        """Share of zeros in the kernels that were chosen; NaN without any."""
        chosen = [x for x in self.layers if x.selected]
        weights = sum(x.weights for x in chosen)
        return sum(x.zeros for x in chosen) / weights if weights else float("nan")

    def __str__(self) -> str:
        rows = [f"{x.layer}: {x.sparsity:.1%} of {x.weights}, {x.values} values" for x in self.layers]
        return "\n".join([*rows, f"all kernels: {self.sparsity:.1%}"])


def sparsity(model: keras.Model, selected: Sequence[str] | None = None) -> SparsityReport:
    """Count the zeros in the kernels of a zoo model; `selected` names the layers that were chosen."""
    rows = []
    for layer in model.layers:
        if isinstance(layer, _CONVOLUTIONS):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            zeros, values = int((kernel == 0).sum()), len(np.unique(kernel))
            chosen = selected is None or layer.name in selected
            rows.append(LayerSparsity(layer.name, kernel.size, zeros, values, chosen))
    return SparsityReport(tuple(rows))


def gzip_size(path: Path) -> int:
    """Bytes of a file after gzip at level 9, without the time in its header."""
    return len(gzip.compress(Path(path).read_bytes(), compresslevel=9, mtime=0))
