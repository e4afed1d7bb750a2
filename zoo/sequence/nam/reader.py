"""``.nam`` files: JSON that is read as data, bounded, and must be consistent to the last number."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from zoo.errors import FormatError, InputError
from zoo.files import check_local
from zoo.sequence.nam.config import NetworkConfig
from zoo.sequence.nam.description import read_network

MAX_BYTES = 64 * 2**20
# Of files that do not say; the trainer knows no other.
USUAL_RATE = 48_000
_SAID = ("name", "modeled_by", "gear_type", "gear_make", "gear_model", "tone_type")


@dataclass(frozen=True, kw_only=True)
class NamModel:
    """A network with its numbers.

    Attributes:
        network: Its layers.
        arrays: The tensors by name, as PyTorch orders them (out, in, taps); ``head_scale`` among them.
        sample_rate: Samples per second that it was trained on.
        states_rate: Whether the file says so; else it is the usual one.
        sizes: How many sizes of one amplifier the file holds.
        metadata: What the file says of the amplifier, text and numbers only.
    """

    network: NetworkConfig
    arrays: Mapping[str, np.ndarray] = field(hash=False)
    sample_rate: float
    states_rate: bool
    sizes: int = 1
    metadata: Mapping[str, str | float] = field(default_factory=dict, hash=False)


def read_nam(path: str | Path, *, submodel: int | None = None) -> NamModel:
    """Read the WaveNet of a file.

    Args:
        path: A ``.nam`` file, of version 0.5 to 0.7.
        submodel: Of a file that holds several sizes of one amplifier, the index of the wanted one, smallest
            first; the largest by default.

    Raises:
        InputError: No such file, or no such submodel.
        FormatError: A file that is damaged, inconsistent or too large, or a variant that is not supported.
    """
    path = check_local(path)
    document = _document(path)
    models = _submodels(document, path.name)
    if submodel is not None and (isinstance(submodel, bool) or not 0 <= submodel < len(models)):
        raise InputError(f"{path.name} holds {len(models)} sizes: submodel must be 0 to {len(models) - 1}")
    chosen = models[-1 if submodel is None else submodel]
    network, arrays = _network(chosen, path.name)
    if network.channels != 1:
        raise FormatError(f"{path.name} gives {network.channels} channels of sound; one is supported")
    rate, states_rate = _rate(chosen, document, path.name)
    metadata = MappingProxyType(_metadata(chosen) | _metadata(document))
    return NamModel(
        network=network,
        arrays=MappingProxyType(arrays),
        sample_rate=rate,
        states_rate=states_rate,
        sizes=len(models),
        metadata=metadata,
    )


def _document(path: Path) -> Mapping:
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if path.stat().st_size > MAX_BYTES:
        raise FormatError(f"{path.name} has {path.stat().st_size} bytes; a .nam file has at most {MAX_BYTES}")
    try:
        document = json.loads(
            path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_once
        )
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise FormatError(f"{path.name} is no .nam file: {reason[:200]}") from None
    if not isinstance(document, dict):
        raise FormatError(f"{path.name} is no .nam file: no JSON object")
    return document


def _refuse(constant: str):
    raise ValueError(f"{constant} is not a number of JSON")


def _once(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _submodels(document: Mapping, where: str) -> list[Mapping]:
    """The models of a file, smallest first."""
    if document.get("architecture") != "SlimmableContainer":
        return [document]
    rows = document.get("config", {}).get("submodels") if isinstance(document.get("config"), dict) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= 64:
        raise FormatError(f"{where}: no list of 1 to 64 submodels")
    found = []
    for row in rows:
        limit = row.get("max_value") if isinstance(row, dict) else None
        if not _is_number(limit) or not isinstance(row.get("model"), dict):
            raise FormatError(f"{where}: a submodel without model or max_value")
        found.append((float(limit), row["model"]))
    return [model for _, model in sorted(found, key=lambda item: item[0])]


def _network(document: Mapping, where: str) -> tuple[NetworkConfig, dict[str, np.ndarray]]:
    """The network and its tensors; those of the condition's are named ``condition/…``."""
    architecture = document.get("architecture")
    if architecture != "WaveNet":
        raise FormatError(f"{where} holds a model of the kind {str(architecture)[:40]!r}; supported: WaveNet")
    config = document.get("config")
    condition, arrays = None, {}
    inner = config.get("condition_dsp") if isinstance(config, dict) else None
    if inner is not None:
        own = inner.get("config") if isinstance(inner, dict) else None
        if not isinstance(own, dict) or own.get("condition_dsp") is not None:
            raise FormatError(f"{where}: condition_dsp is no WaveNet of its own")
        condition, found = _network(inner, f"{where}: condition_dsp")
        arrays = {f"condition/{name}": array for name, array in found.items()}
    network = read_network(config, where=where, condition=condition)
    return network, arrays | _tensors(document.get("weights"), network, where)


def _tensors(weights: object, network: NetworkConfig, where: str) -> dict[str, np.ndarray]:
    expected = network.parameters
    if not isinstance(weights, list) or len(weights) != expected:
        found = len(weights) if isinstance(weights, list) else "none"
        raise FormatError(f"{where}: its layers have {expected} weights, the file holds {found}")
    if not all(map(_is_number, weights)):
        raise FormatError(f"{where}: weights that are no finite numbers")
    with np.errstate(over="ignore"):  # said below
        flat = np.asarray(weights, np.float32)
    if not np.isfinite(flat).all():
        raise FormatError(f"{where}: weights beyond the range of 32 bits")
    arrays, start = {}, 0
    for index, array in enumerate(network.arrays):
        for name, shape in array.shapes:
            stop = start + math.prod(shape)
            arrays[f"array{index}/{name}"] = flat[start:stop].reshape(shape)
            start = stop
    return {**arrays, "head_scale": flat[-1]}


def _rate(document: Mapping, outer: Mapping, where: str) -> tuple[float, bool]:
    rate = document.get("sample_rate", outer.get("sample_rate"))
    if rate is None:
        return float(USUAL_RATE), False
    if not _is_number(rate) or not 1000 <= rate <= 1_000_000:
        raise FormatError(f"{where}: a sample rate of {str(rate)[:40]} Hz")
    return float(rate), True


def _metadata(document: Mapping) -> dict[str, str | float]:
    """The words and numbers that describe the amplifier, short ones."""
    stated = document.get("metadata")
    stated = stated if isinstance(stated, dict) else {}
    found = {key: stated[key][:200] for key in _SAID if isinstance(stated.get(key), str)}
    numbers = ("loudness", "gain", "input_level_dbu", "output_level_dbu")
    return found | {key: float(stated[key]) for key in numbers if _is_number(stated.get(key))}


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
