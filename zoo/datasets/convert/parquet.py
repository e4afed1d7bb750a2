"""Hugging Face parquet: a column of pictures and one of masks, by `pyarrow` (extra ``parquet``).

The values of a mask are the classes, 255 is ignored. Names come from ``id2label.json``; classes without names
are numbered. Splits are those of the names of the files, such as ``train-00000-of-00001.parquet``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.datasets.colors import nearest, read_table
from zoo.datasets.convert.documents import label_of, number, read_json
from zoo.datasets.convert.model import IGNORED, Sample, Settings, Source
from zoo.datasets.convert.pictures import decoded, suffix_of
from zoo.datasets.convert.places import files_below, path_parts, split_of, split_of_path
from zoo.errors import FormatError, InputError
from zoo.images.parquet import opened_parquet
from zoo.images.pixels import grey_of

_IMAGES = ("image", "img", "pixel_values", "images", "picture")
_MASKS = (
    "label",
    "labels",
    "mask",
    "masks",
    "annotation",
    "annotations",
    "segmentation_mask",
    "semantic_mask",
    "semantic_segmentation",
    "label_map",
)
_IGNORE = 255


def read(root: Path, settings: Settings) -> Source:
    """All parquet files in a folder and below."""
    paths = files_below(root, [".parquet"])
    if not paths:
        raise InputError(f"{root}: no *.parquet")
    files = [(path, opened_parquet(path)) for path in paths]
    columns = {_columns(file, path) for path, file in files}
    if len(columns) > 1:
        raise InputError(f"{root}: files with other columns: {sorted(columns)}")
    image, mask = columns.pop()
    rows = _Rows([(path, file.metadata.num_rows) for path, file in files], image, mask, root)
    table = None if settings.colors is None else read_table(settings.colors)
    names = tuple(table) if table else _names(root) or _numbered(rows)
    samples = _Samples(rows, names, table, settings)
    return Source(names=names, samples=samples, unlabelled="ignore", palette=table or {})


def _columns(file: Any, path: Path) -> tuple[str, str]:
    """Names of the columns of pictures and masks."""
    import pyarrow

    held = [
        field.name
        for field in file.schema_arrow
        if pyarrow.types.is_binary(field.type)
        or pyarrow.types.is_large_binary(field.type)
        or (pyarrow.types.is_struct(field.type) and "bytes" in [part.name for part in field.type])
    ]
    found = []
    for usual in (_IMAGES, _MASKS):
        fits = [name for name in usual if name in held]
        if len(fits) != 1:
            raise InputError(
                f"{path}: one column of pictures ({', '.join(_IMAGES[:3])}) and one of masks "
                f"({', '.join(_MASKS[:4])}) "
                f"were expected; columns with bytes are: {', '.join(held) or 'none'}"
            )
        found.append(fits[0])
    return found[0], found[1]


class _Rows:
    """The rows of all files, of which one batch is in memory at a time."""

    def __init__(self, files: list[tuple[Path, int]], image: str, mask: str, root: Path):
        self.files, self.image, self.mask, self.root = files, image, mask, root

    def __len__(self) -> int:
        return sum(count for _, count in self.files)

    def __iter__(self) -> Iterator[tuple[Path, int, object, object]]:
        for path, _ in self.files:
            file, row = opened_parquet(path), 0
            try:
                for batch in file.iter_batches(batch_size=8, columns=[self.image, self.mask]):
                    for entry in batch.to_pylist():
                        yield path, row, entry[self.image], entry[self.mask]
                        row += 1
            except (OSError, ValueError) as error:  # of which pyarrow's own errors are
                raise FormatError(
                    f"{path}: a damaged parquet file: {' '.join(str(error).split())[:200]}"
                ) from None


class _Samples:
    """The samples of the rows; each pass reads the files anew."""

    def __init__(self, rows: _Rows, names: tuple[str, ...], table, settings: Settings):
        self._rows, self._names, self._table, self._settings = rows, names, table, settings

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Sample]:
        seen: set[str] = set()
        for path, row, image, mask in self._rows:
            split = split_of(path.stem) or split_of_path(path, self._rows.root)
            given = image.get("path") if isinstance(image, dict) else None
            stem = Path((path_parts(given) or [""])[-1]).stem if isinstance(given, str) else ""
            name = f"{path.stem}-{row:06d}"
            if stem and stem.casefold() not in seen:
                name = stem
            seen.add(name.casefold())
            data, truth = _bytes(image), _bytes(mask)
            if data is None or truth is None:
                self._settings.tally.add("rows without the bytes of a picture or mask", name, lost=True)
                continue
            suffix_of(data)
            positions = lambda truth=truth, name=name: self._positions(truth, name)  # noqa: E731
            yield Sample(image=data, name=f"{name}.png", split=split, positions=positions)

    def _positions(self, data: bytes, name: str) -> np.ndarray:
        if self._table is not None:
            pixels = np.asarray(decoded(data).convert("RGB"))
            found = nearest(pixels, list(self._table.values()), distance=self._settings.distance)
            self._settings.tally.add("pixels of a colour near that of their class", name, count=found.inexact)
            self._settings.tally.add("pixels of a colour of no class, ignored", name, count=found.far)
            return np.where(found.positions < 0, np.int16(IGNORED), found.positions)
        values = _values(data)
        wrong = (values >= len(self._names)) & (values != _IGNORE)
        if wrong.any():
            raise FormatError(f"the value {int(values[wrong][0])} is no class; there are {len(self._names)}")
        return np.where(values == _IGNORE, np.int16(IGNORED), values.astype(np.int16))


def _bytes(value: object) -> bytes | None:
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) and found else None


def _values(data: bytes) -> np.ndarray:
    image = grey_of(decoded(data))
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        raise FormatError(f"a mask of {image.mode} pixels; give --colors FILE for colour masks")
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > _IGNORE):
        raise FormatError(f"values of a mask are 0 to 255, this one has {values.max()}")
    return values


def _names(root: Path) -> tuple[str, ...]:
    """From ``id2label.json``, a mapping of numbers to names."""
    path = root / "id2label.json"
    if not path.is_file():
        return ()
    document = read_json(path)
    if not isinstance(document, dict):
        raise FormatError(f"{path}: a mapping of numbers to names was expected")
    found = {int(number(key, path)): label_of(value, path) for key, value in document.items()}
    if sorted(found) != list(range(len(found))):
        raise FormatError(
            f"{path}: the numbers go from 0 to {len(found) - 1} without a gap, not "
            f"{json.dumps(sorted(found))[:80]}"
        )
    return tuple(found[key] for key in range(len(found)))


def _numbered(rows: _Rows) -> tuple[str, ...]:
    largest = 0
    for _, _, _, mask in rows:
        data = _bytes(mask)
        if data is not None:
            values = _values(data)
            largest = max(largest, int(values[values != _IGNORE].max(initial=0)))
    return tuple(f"class {index}" for index in range(largest + 1))
