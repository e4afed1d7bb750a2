"""Reads safetensors files, and folders of shards with an index, as Hugging Face's libraries write both.

The library checks the file; the numbers are taken from it here, since with NumPy it does not know all types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors

from zoo.errors import FormatError
from zoo.weights.readers.recognition import is_index, kind_of
from zoo.weights.readers.tensor_sets import LazyTensors, TensorSet
from zoo.weights.readers.torch_file import read_torch_sets

_DTYPES = {
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    "BOOL": np.dtype("?"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}
_MOST_SHARDS = 1_000


def read_safetensors(path: Path) -> tuple[TensorSet, ...]:
    """The tensors of a safetensors file by name; types of 8 bits and bfloat16 as float32, which is exact.

    Raises:
        FormatError: Not such a file, or a damaged one.
    """
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="np"):
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (safetensors.SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path.name}: not a readable safetensors file: {reason}") from error
    header.pop("__metadata__", None)
    makers = {
        name: partial(_array, path, name, facts["dtype"], facts["shape"], 8 + length, facts["data_offsets"])
        for name, facts in header.items()
    }
    return (TensorSet(key="", tensors=LazyTensors(makers)),)


def _array(path: Path, name: str, kind: str, shape: list, base: int, extent: list) -> np.ndarray:
    if kind not in _DTYPES:
        raise FormatError(f"{path.name}: tensor {name[:80]!r} is of the type {kind}, which is not read")
    dtype, (start, end) = _DTYPES[kind], extent
    count = math.prod(shape)
    if count * dtype.itemsize != end - start:
        raise FormatError(f"{path.name}: tensor {name[:80]!r} has {end - start} bytes for shape {shape}")
    with path.open("rb") as file:
        file.seek(base + start)
        content = file.read(end - start)
    if len(content) != end - start:
        raise FormatError(f"{path.name}: is cut off at tensor {name[:80]!r}")
    raw = np.dtype("u1") if kind == "BOOL" else dtype
    array = np.frombuffer(bytearray(content), raw).reshape(shape)
    if kind == "BOOL":
        return array != 0
    return array.astype(np.float32) if kind == "BF16" or kind.startswith("F8_") else array


def read_shards(path: Path) -> tuple[TensorSet, ...]:
    """The tensors of a model that was saved in parts: `path` is the index, which names the parts beside it.

    Raises:
        FormatError: Not such an index; a part that is absent, elsewhere or damaged, or lacks a tensor.
    """
    path = Path(path)
    if not is_index(path):
        raise FormatError(f"{path.name}: not an index of shards (no 'weight_map' from tensors to files)")
    places = json.loads(path.read_bytes())["weight_map"]
    files = set(places.values())
    bad = [file for file in files if Path(file).name != file or "\\" in file]
    if bad:
        raise FormatError(f"{path.name}: refused: it names the part {bad[0][:80]!r}")
    if len(files) > _MOST_SHARDS:
        raise FormatError(f"{path.name}: names {len(files)} parts; {_MOST_SHARDS} are read at most")
    parts = {file: _shard(path, path.parent / file) for file in sorted(files)}
    for name, file in places.items():
        if name not in parts[file]:
            raise FormatError(f"{path.name}: {file} has no tensor {name[:80]!r}")
    makers = {name: partial(parts[file].__getitem__, name) for name, file in places.items()}
    return (TensorSet(key="", tensors=LazyTensors(makers)),)


def _shard(index: Path, path: Path) -> Mapping[str, np.ndarray]:
    if not path.is_file():
        raise FormatError(f"{index.name}: its part {path.name} is not beside it")
    kind = kind_of(path)
    if kind not in ("torch", "safetensors"):
        raise FormatError(f"{index.name}: its part {path.name} is no safetensors or torch file")
    return (read_safetensors if kind == "safetensors" else read_torch_sets)(path)[0].tensors
