"""Reads the weights in the ``.tar.gz`` files of TF-DeepLab and TF-slim; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import io
import logging
import struct
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from zoo.errors import FormatError
from zoo.weights.readers import tf_graph
from zoo.weights.readers.archive import DAMAGE, allowed_bytes
from zoo.weights.readers.tf_checkpoint import SUFFIX, entries_of, shard_name, tensors_of

log = logging.getLogger("zoo")

_MAX_MEMBERS = 10_000
_GZIP = b"\x1f\x8b"
_GRAPH = ".pb"
_APPLE = "._"  # what macOS adds for each file


class _Bounded(io.RawIOBase):
    """A stream that ends in an error behind so many bytes."""

    def __init__(self, source, limit: int):
        self._source, self._left = source, limit

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(piece)
        if self._left < 0:
            raise FormatError("refused: it unpacks to far more than a file of its size may")
        return piece


def read_archive(path: str | Path) -> dict[str, np.ndarray]:
    """The variables of the one checkpoint in an archive, or of its one frozen graph.

    Raises:
        FormatError: No such archive; one that is damaged, has links or names that lead elsewhere, unpacks to
            too much; or without any weights, or with several.
    """
    path = Path(path)
    try:
        return _weights(_members(path), file=path.name)
    except FormatError as error:
        raise FormatError(f"{path.name}: {error}") from None
    except (*DAMAGE, tarfile.TarError, struct.error) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{path.name}: not a readable archive: {reason}") from error


def _members(path: Path) -> dict[str, bytes]:
    """The files that may hold weights, by their names."""
    found, seen = {}, set()
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        plain = _Bounded(gzip.GzipFile(fileobj=file) if packed else file, allowed_bytes(path.stat().st_size))
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            for member in archive:
                name = _checked(member)
                if name in seen or len(seen) == _MAX_MEMBERS:
                    raise FormatError(f"refused: {name[:80]!r} is there twice, or there are too many files")
                seen.add(name)
                base = name.rpartition("/")[2]
                wanted = SUFFIX.search(base) or base.lower().endswith(_GRAPH)
                if member.isfile() and wanted and not base.startswith((_APPLE, "saved_model")):
                    found[name] = archive.extractfile(member).read()
    return found


def _checked(member: tarfile.TarInfo) -> str:
    """The name of a member, without ``./``; an error for what is neither a plain file nor a folder."""
    path = PurePosixPath(member.name)
    if ".." in path.parts or path.is_absolute() or "\\" in member.name or "\0" in member.name:
        raise FormatError(f"refused: it has a member {member.name[:80]!r}")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise FormatError(f"refused: member {member.name[:80]!r} is a link, or nothing that holds weights")
    return str(path)


def _weights(members: dict[str, bytes], *, file: str) -> dict[str, np.ndarray]:
    checkpoints = sorted(name for name in members if name.lower().endswith(".index"))
    graphs = sorted(name for name in members if name.lower().endswith(_GRAPH))
    found = checkpoints or graphs
    if not found:
        raise FormatError("holds no checkpoint and no frozen graph")
    if len(found) > 1:
        kind = "checkpoints" if checkpoints else "graphs"
        named = ", ".join(name[:80] for name in found[:4])
        raise FormatError(f"holds {len(found)} {kind} ({named}); unpack it and give one of them")
    log.info("%s: read %s", file, found[0])
    if not checkpoints:
        return tf_graph.tensors_of(members[found[0]], file=file)
    prefix = SUFFIX.sub("", found[0])
    entries, shards = entries_of(members[found[0]])

    def read(shard: int, offset: int, size: int) -> bytes:
        name = shard_name(prefix, shard, shards)
        if name not in members:
            raise FormatError(f"its numbers are in {name}, which it does not hold")
        if offset + size > len(members[name]):
            raise FormatError(f"truncated or damaged: {name} ends before a tensor does")
        return members[name][offset : offset + size]

    return tensors_of(entries, read, held=sum(map(len, members.values())), file=file)
