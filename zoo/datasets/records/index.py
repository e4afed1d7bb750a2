"""The index beside the shards of a split: what the data set is, and where each record stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from zoo.datasets.reading import Reading
from zoo.datasets.records.framing import FRAME, LARGEST
from zoo.errors import FormatError, InputError
from zoo.files import write_text
from zoo.labels import LABEL_SETS, LabelSet

SUFFIX, ENDING = ".tfrecord", ".index.json"
FORMAT = "zoo records 1"
_LARGEST_INDEX = 1 << 30
_HASHED = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One record.

    Attributes:
        offset: Of its frame in the shard.
        length: Of the record itself.
        image_name: Of the image, with up to two folders above it.
        image_bytes: Of its file.
        mask_name: Of the mask, likewise.
        mask_bytes: Of its file.
        plain: Whether TensorFlow decodes the image as it is meant: JPEG or PNG with 8 bits a channel, without
            transparency, that EXIF does not turn.
    """

    offset: int
    length: int
    image_name: str
    image_bytes: int
    mask_name: str
    mask_bytes: int
    plain: bool


@dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
        file: Its name.
        size: Its bytes.
        sha256: Digest of it.
        pixels: Number of pixels of each class, then of ignored ones.
        entries: Its records.
    """

    file: str
    size: int
    sha256: str
    pixels: tuple[int, ...]
    entries: tuple[Entry, ...]

    def to_dict(self) -> dict:
        """Plain data."""
        rows = [[getattr(entry, field.name) for field in fields(Entry)] for entry in self.entries]
        return {
            "file": self.file,
            "samples": len(rows),
            "bytes": self.size,
            "sha256": self.sha256,
            "pixels": list(self.pixels),
            "records": rows,
        }

    @classmethod
    def from_dict(cls, document: Mapping) -> Shard:
        """The inverse; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        entries = tuple(_entry(row) for row in document["records"])
        size, name = _whole(document["bytes"]), document["file"]
        if PurePosixPath(name).name != name or not name.endswith(SUFFIX):
            raise ValueError(f"{name!r} is no name of a shard")
        if any(entry.offset + entry.length + FRAME > size for entry in entries):
            raise ValueError(f"a record of {name} ends after the file")
        if len(entries) != document["samples"]:
            raise ValueError(f"{name} has {len(entries)} records, not {document['samples']}")
        pixels = tuple(_whole(count) for count in document["pixels"])
        return cls(name, size, str(document["sha256"]), pixels, entries)


def _entry(row: list) -> Entry:
    entry = Entry(*row)
    for number in (entry.offset, entry.length, entry.image_bytes, entry.mask_bytes):
        _whole(number)
    if entry.length > LARGEST or entry.image_bytes + entry.mask_bytes > entry.length:
        raise ValueError("a record of an impossible length")
    if not isinstance(entry.plain, bool):
        raise ValueError(f"{entry.plain!r} is not true or false")
    for name in (entry.image_name, entry.mask_name):
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
            raise ValueError(f"{name!r} is no name of an image or a mask")
    return entry


def _whole(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"{number!r} is no count")
    return number


@dataclass(frozen=True)
class Index:
    """What stands in ``SPLIT.index.json``.

    Attributes:
        split: Name of the split.
        kind: Of the data set that was packed.
        label_set: Its classes.
        reading: What was said when it was packed of files that can be read in more than one way; it holds
            for the images. Masks are labels already.
        plan: Digest of what was packed, and into how many shards.
        shards: In order.
    """

    split: str
    kind: str
    label_set: LabelSet
    reading: Reading
    plan: str
    shards: tuple[Shard, ...]

    def to_dict(self) -> dict:
        """Plain data."""
        pixels = [sum(counts) for counts in zip(*(shard.pixels for shard in self.shards), strict=True)]
        return {
            "format": FORMAT,
            "split": self.split,
            "kind": self.kind,
            "classes": self.label_set.to_config(),
            "reading": vars(self.reading),
            "plan": self.plan,
            "samples": sum(len(shard.entries) for shard in self.shards),
            "pixels": dict(zip(self.label_set.names, pixels, strict=False)),
            "ignored_pixels": pixels[-1],
            "shards": [shard.to_dict() for shard in self.shards],
        }

    def write(self, folder: Path) -> Path:
        """Write it beside the shards, whole or not at all."""
        return write_text(folder / f"{self.split}{ENDING}", json.dumps(self.to_dict()) + "\n")


def read_index(path: Path) -> Index:
    """The index in a file.

    Raises:
        InputError: A file that cannot be read.
        FormatError: No index, or a damaged one.
    """
    try:
        if path.stat().st_size > _LARGEST_INDEX:
            raise FormatError(f"{path}: {path.stat().st_size:,} bytes are no index of records")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise FormatError(f"{path}: no index of records; `zoo dataset pack` writes one")
        labels = _label_set(document["classes"])
        shards = tuple(Shard.from_dict(shard) for shard in document["shards"])
        if any(len(shard.pixels) != len(labels) + 1 for shard in shards):
            raise ValueError("pixels of other classes")
        known = {field.name for field in fields(Reading)}
        reading = Reading(**{key: value for key, value in document["reading"].items() if key in known})
        split, kind, plan = (str(document[key]) for key in ("split", "kind", "plan"))
        return Index(split, kind, labels, reading, plan, shards)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except FormatError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path}: a damaged index of records: {error}") from None


def _label_set(config: Mapping) -> LabelSet:
    found = LabelSet.from_config(config)
    if not all(isinstance(name, str) for name in found.names) or not 1 <= len(found) <= 255:
        raise ValueError("classes without names")
    known = LABEL_SETS.get(found.key)
    return found if known is None or known != found else known


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASHED):
            digest.update(block)
    return digest.hexdigest()
