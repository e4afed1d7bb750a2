"""Reads the HDF5 files of Keras 2, of weights or of a whole model, as data: no layer is made.

Keras 3 writes the second kind too (``model.save("m.h5")``). Its own ``.weights.h5`` is another format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from zoo import provenance
from zoo.errors import FormatError, InputError
from zoo.labels import LabelSet
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import check_h5

_LAYERS, _WEIGHTS, _CONFIG, _MODEL = "layer_names", "weight_names", "model_config", "model_weights"
_LOGITS = "SegmentationLogits"
_LONGEST = 64 << 20  # of the description of a model
_MAX_DEPTH = 64
# By the layer of tf_keras that has no name of its own for it here.
_RENAMED = {"depthwise_kernel": "kernel"}


def is_keras2(path: Path) -> bool:
    """Whether an HDF5 file is one of Keras 2, by what stands at its root."""
    try:
        with h5py.File(path, "r") as file:
            return _MODEL in file or any(name.startswith(_LAYERS) for name in file.attrs)
    except archive.DAMAGE:
        return False


def read_keras2(path: str | Path) -> dict[str, np.ndarray]:
    """The variables of the layers as ``<layer>/<variable>``, and what a zoo model in the file says of itself.

    Args:
        path: An ``.h5`` file of Keras 2.

    Returns:
        Float32 arrays; kernels of depthwise convolutions are called ``kernel`` as all others. With a whole
        zoo model also the text ``about`` (`zoo.provenance.to_text`). Optimizers' variables are left out.

    Raises:
        FormatError: Not such a file, a damaged one, or one that refers to others or claims what it does not
            hold.
    """
    path = Path(path)
    check_h5(path)
    try:
        with h5py.File(path, "r") as file:
            about = _about(file.attrs.get(_CONFIG))
            arrays = _arrays(file.get(_MODEL, file))
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from None
    except (*archive.DAMAGE, AttributeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{path.name}: not a readable file of Keras 2: {reason}") from error
    return arrays if about is None else {**arrays, provenance.ABOUT: np.asarray(about)}


def _texts(attributes: Mapping, name: str) -> list[str]:
    """An attribute that is a list of names; long ones lie in several, which are numbered."""
    if name in attributes:
        parts = [attributes[name]]
    else:
        parts = []
        while f"{name}{len(parts)}" in attributes:
            parts.append(attributes[f"{name}{len(parts)}"])
    return [n.decode() if isinstance(n, bytes) else str(n) for part in parts for n in np.ravel(part)]


def _arrays(root: h5py.Group) -> dict[str, np.ndarray]:
    layers = _texts(root.attrs, _LAYERS)
    if not layers:
        raise FormatError("no file of Keras 2: it names no layers (variables of Keras 3 end in .weights.h5)")
    found = {}
    for layer in dict.fromkeys(layers):
        for name, array in _of_layer(layer, root[layer]):
            if name in found:
                raise FormatError(f"damaged: two variables are called {name[:80]!r}")
            found[name] = array
    return found


def _of_layer(layer: str, group: h5py.Group) -> Iterator[tuple[str, np.ndarray]]:
    """A layer's variables; those of a model that is used as a layer have the names of its own layers."""
    stored = _texts(group.attrs, _WEIGHTS)
    ends = [name.rpartition("/")[2].partition(":")[0] for name in stored]
    for name, end in zip(stored, ends, strict=True):
        values = group[name]
        if not isinstance(values, h5py.Dataset):
            raise FormatError(f"damaged: {name[:80]!r} is no array")
        if values.dtype.kind != "f":
            continue
        inner = name.partition(":")[0].rpartition("/")[0]
        owner = layer if len(set(ends)) == len(ends) else inner.rpartition("/")[2]
        with np.errstate(over="ignore"):  # beyond float32 is infinite, as anywhere
            yield f"{owner}/{_RENAMED.get(end, end)}", np.asarray(values[()], np.float32)


def _about(config: object) -> str | None:
    """What the last layer of a zoo model states in a description of it; `None` for any other model."""
    if config is None:
        return None
    content = config if isinstance(config, str | bytes) else b""
    if len(content) > _LONGEST:
        raise FormatError("the description of its model has more than 64 MiB")
    logits = _logits_of(json.loads(content) if content else None, 0)
    try:
        source, labels = logits["source"], LabelSet.from_config(logits["label_set"])
        return provenance.to_text(model=source["model"], settings=source["settings"], labels=labels)
    except (TypeError, KeyError, InputError):  # another model, or one that does not say it
        return None


def _logits_of(part: object, depth: int) -> dict | None:
    """The configuration of the last such layer, wherever in a description it lies."""
    if depth > _MAX_DEPTH:
        raise FormatError("the description of its model lies more than 64 deep in itself")
    if isinstance(part, dict):
        if str(part.get("class_name", "")).rpartition(">")[2] == _LOGITS:
            return part.get("config")
        part = list(part.values())
    if isinstance(part, list):
        for item in reversed(part):
            found = _logits_of(item, depth + 1)
            if found is not None:
                return found
    return None
