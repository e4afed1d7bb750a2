"""Parameters that are stored as what they are computed from: weight norm, spectral norm, pruning masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from zoo.errors import MismatchError
from zoo.weights.readers.tensor_sets import LazyTensors

Tensors = Mapping[str, np.ndarray]
_NEW = ".parametrizations."


def folded(tensors: Tensors) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors with each such group replaced by the parameter that it stands for.

    Weight norm (Salimans & Kingma 2016) as ``weight_g`` and ``weight_v``, or as the parametrization's
    ``original0`` and ``original1``; spectral norm (Miyato et al. 2018) by its stored vectors, as in
    evaluation; and pruning as ``weight_orig`` and ``weight_mask``.

    Returns:
        The tensors, and a note for each kind that was found.
    """
    makers: dict[str, Callable[[], np.ndarray]] = {}
    used: set[str] = set()
    counts: dict[str, int] = {}
    for name in tensors:
        for kind, suffixes, make in _KINDS:
            target, names = _group(name, suffixes)
            if target is None or not set(names) <= set(tensors) or used & set(names):
                continue
            makers[names[0]] = partial(make, tensors, target, names)
            used.update(names)
            counts[kind] = counts.get(kind, 0) + 1
            break
    if not used:
        return tensors, ()
    result = {}
    for name in tensors:
        if name in makers:
            result[_target(name)] = makers[name]
        elif name not in used:
            result[name] = partial(tensors.__getitem__, name)
    notes = tuple(f"{kind}, folded into parameters: {count}" for kind, count in counts.items())
    return LazyTensors(result), notes


def _group(name: str, suffixes: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """What a tensor with the first of these endings belongs to: the parameter's name, and all parts."""
    first = suffixes[0]
    if not name.endswith(first) or (first.startswith(".") and _NEW not in name):
        return None, ()
    stem = name.removesuffix(first)
    return _target(name), tuple(stem + suffix for suffix in suffixes)


def _target(name: str) -> str:
    """``a.parametrizations.weight.original0`` and ``a.weight_orig`` are of ``a.weight``."""
    if _NEW in name:
        layer, _, parameter = name.partition(_NEW)
        return f"{layer}.{parameter.rpartition('.')[0]}"
    return name.rpartition("_")[0]


def _weight_norm(tensors: Tensors, target: str, names: tuple[str, ...]) -> np.ndarray:
    """``g · v / ‖v‖``, with the norm over all axes but those along which ``g`` extends."""
    length, direction = (np.asarray(tensors[name], np.float32) for name in names)
    if length.ndim != direction.ndim:
        length = length.reshape([-1] + [1] * (direction.ndim - 1)) if length.size > 1 else length
    along = [d for d in range(direction.ndim) if length.ndim == direction.ndim and length.shape[d] != 1]
    if any(length.shape[d] != direction.shape[d] for d in along):
        raise MismatchError(f"{target}: lengths {length.shape} do not fit directions {direction.shape}")
    if not along and length.ndim == direction.ndim and direction.shape[:1] == (1,):
        along = [0]
    axes = tuple(d for d in range(direction.ndim) if d not in along)
    norm = np.sqrt(np.sum(np.square(direction, dtype=np.float64), axis=axes, keepdims=True))
    return np.asarray(direction * (length / norm), np.float32)


def _spectral_norm(tensors: Tensors, target: str, names: tuple[str, ...]) -> np.ndarray:
    """``W / σ`` with ``σ = uᵀ W v``, of the kernel as a matrix with a row per output channel."""
    weight, left, right = (np.asarray(tensors[name], np.float64) for name in names)
    matrix = weight.reshape(len(weight), -1) if weight.ndim else weight
    if matrix.shape != (*left.shape, *right.shape):
        raise MismatchError(
            f"{target}: vectors {left.shape}, {right.shape} do not fit the weight {weight.shape}"
        )
    return np.asarray(weight / (left @ matrix @ right), np.float32)


def _pruned(tensors: Tensors, target: str, names: tuple[str, ...]) -> np.ndarray:
    weight, mask = (tensors[name] for name in names)
    if weight.shape != mask.shape:
        raise MismatchError(f"{target}: the mask {mask.shape} does not fit the weight {weight.shape}")
    return np.asarray(weight, np.float32) * np.asarray(mask, np.float32)


_KINDS = (
    ("weight norm", ("_g", "_v"), _weight_norm),
    ("weight norm", (".original0", ".original1"), _weight_norm),
    ("spectral norm", ("_orig", "_u", "_v"), _spectral_norm),
    ("spectral norm", (".original", ".0._u", ".0._v"), _spectral_norm),
    ("pruning", ("_orig", "_mask"), _pruned),
)
