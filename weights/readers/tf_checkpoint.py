"""Reads checkpoints of TensorFlow 1 (``.index`` beside ``.data-…``) as data, without TensorFlow."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers import sstable
from zoo.weights.readers.archive import DAMAGE
from zoo.weights.readers.crc32c import crc32c, masked
from zoo.weights.readers.tf_values import FLOATS, array_of, counting, item_size, shape_of, tell_averages
from zoo.weights.readers.wire import content, fields, signed

SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$", re.IGNORECASE)
_LARGEST_INDEX = 64 << 20
_OBJECTS = "/.ATTRIBUTES/VARIABLE_VALUE"
# From shard, offset and size to the bytes.
Read = Callable[[int, int, int], bytes]


@dataclass(frozen=True)
class Entry:
    """Where a tensor is; the fields are those of ``BundleEntryProto``."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int | None


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """The network's variables of a checkpoint by their names.

    An optimizer's variables and those of the training are left out; where a variable has a moving average,
    that is taken, and one line says so.

    Args:
        path: The ``.index`` file, a ``.data-…`` or ``.meta`` file, or what their names have in common.

    Returns:
        Float32 arrays in TensorFlow's order of axes.

    Raises:
        FormatError: A file is absent, damaged, or claims what is not there.
    """
    path = Path(path)
    prefix = path.with_name(SUFFIX.sub("", path.name))
    index = prefix.with_name(f"{prefix.name}.index")
    try:
        if not index.is_file():
            raise FormatError(f"a checkpoint needs its index, and there is no {index.name} beside it")
        if index.stat().st_size > _LARGEST_INDEX:
            raise FormatError("its index has more than 64 MiB")
        entries, shards = entries_of(index.read_bytes())
        if any(name.endswith(_OBJECTS) for name in entries):
            raise FormatError(
                "a checkpoint of TensorFlow 2, which names variables by the objects that hold them: load it "
                "there, and save the model as .keras or .weights.h5"
            )
        files = [prefix.with_name(shard_name(prefix.name, n, shards)) for n in _used(entries)]
        held = sum(file.stat().st_size for file in files if file.is_file())
        return tensors_of(entries, partial(_from_files, prefix, shards), held=held, file=path.name)
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from None
    except (*DAMAGE, struct.error) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{path.name}: not a readable checkpoint: {reason}") from error


def _used(entries: Mapping[str, Entry]) -> set[int]:
    return {entry.shard for entry in entries.values()}


def shard_name(prefix: str, shard: int, shards: int) -> str:
    """Name of the file of one shard."""
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def _from_files(prefix: Path, shards: int, shard: int, offset: int, size: int) -> bytes:
    path = prefix.with_name(shard_name(prefix.name, shard, shards))
    if not path.is_file():
        raise FormatError(f"its numbers are in {path.name}, which is not beside it")
    if offset + size > path.stat().st_size:
        raise FormatError(f"truncated or damaged: {path.name} ends before a tensor does")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def entries_of(index: bytes) -> tuple[dict[str, Entry], int]:
    """The tensors of an ``.index`` file by name, and how many files hold their values.

    Raises:
        FormatError: Damaged, of another byte order, or with tensors in slices.
    """
    found, shards = {}, None
    for key, value in sstable.entries(index):
        if not key:
            shards = _shards(value)
            continue
        entry = _entry(value)
        if entry is not None:
            found[key.decode()] = entry
    if shards is None:
        raise FormatError("no checkpoint of TensorFlow's second format: its index has no header")
    wrong = [name for name, entry in found.items() if not 0 <= entry.shard < shards]
    if wrong:
        raise FormatError(f"damaged: {wrong[0][:80]!r} lies in file {found[wrong[0]].shard} of {shards}")
    return found, shards


def _shards(header: memoryview) -> int:
    stated = dict(fields(header))
    shards = signed(stated.get(1, 0))
    if not 1 <= shards <= 99_999:
        raise FormatError(f"damaged: its values lie in {shards} files")
    if signed(stated.get(2, 0)):
        raise FormatError("its numbers are in the byte order of large machines, which is not read")
    return shards


def _entry(value: memoryview) -> Entry | None:
    """One tensor, or `None` for one that is not of floats."""
    stated = dict(fields(value))
    kind = signed(stated.get(1, 0))
    if kind not in FLOATS:
        return None
    if 7 in stated:
        raise FormatError("holds a tensor in slices, which is not read")
    shape = shape_of(content(stated[2])) if 2 in stated else ()
    shard, offset, size = (signed(stated.get(number, 0)) for number in (3, 4, 5))
    if min(shard, offset, size) < 0 or size != math.prod(shape) * item_size(kind):
        raise FormatError(f"damaged: {size:,} bytes at {offset:,} for a tensor of the shape {shape}")
    checksum = struct.unpack("<I", content(stated[6]))[0] if 6 in stated else None
    return Entry(kind, shape, shard, offset, size, checksum)


def tensors_of(entries: Mapping[str, Entry], read: Read, *, held: int, file: str) -> dict[str, np.ndarray]:
    """The values of the variables that count.

    Args:
        entries: Where the tensors are.
        read: Gives bytes of a shard.
        held: Bytes that the shards have together.
        file: For messages.

    Raises:
        FormatError: Bytes that are not there, are claimed by several tensors, or have another checksum.
    """
    chosen = counting(entries)
    claimed = sum(entries[source].size for source in chosen.values())
    if claimed > held:
        raise FormatError(f"truncated or damaged: its tensors need {claimed:,} bytes, and there are {held:,}")
    arrays = {}
    for name, source in chosen.items():
        entry = entries[source]
        data = read(entry.shard, entry.offset, entry.size)
        if entry.checksum is not None and masked(crc32c(data)) != entry.checksum:
            raise FormatError(f"damaged: the checksum of {source[:80]!r} is another")
        arrays[name] = array_of(data, entry.kind, entry.shape)
    tell_averages(chosen, file=file)
    return arrays
