"""Roboflow's semantic masks: pictures with ``NAME_mask.png``, and ``_classes.csv`` of values and classes.

A value that is not in the table is an error of its mask.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.convert.documents import label_of, number, read_csv
from zoo.datasets.convert.model import Sample, Settings, Source
from zoo.datasets.convert.places import Pictures, common_name, files_below, split_of_path
from zoo.errors import FormatError, InputError
from zoo.images import read_mask

_CLASSES, _ENDING = "_classes.csv", "_mask"


def read(root: Path, settings: Settings) -> Source:
    """All folders below with a ``_classes.csv``; classes are in the order of their values."""
    tables = [path for path in files_below(root, [_CLASSES]) if path.name == _CLASSES]
    if not tables:
        raise InputError(f"{root}: no {_CLASSES}")
    pictures = Pictures(root, images=settings.pictures)
    names: dict[str, None] = {}
    samples = []
    for path in tables:
        table = _table(path)
        names.update(dict.fromkeys(table.values()))
        for mask in sorted(path.parent.glob(f"*{_ENDING}.png")):
            stem = mask.stem.removesuffix(_ENDING)
            found = [
                one
                for one in pictures.paths
                if one.stem == stem and (settings.pictures or one.parent == mask.parent)
            ]
            if len(found) != 1:
                settings.tally.add("annotations without their picture", common_name(mask, root), lost=True)
                continue
            pictures.used |= {found[0], mask}
            samples.append(
                Sample(
                    image=found[0],
                    name=common_name(found[0], pictures.root),
                    split=split_of_path(mask, root),
                    positions=lambda mask=mask, table=table: _positions(mask, table),
                    names=tuple(table.values()),
                )
            )
    unused = pictures.unused()
    settings.tally.add("pictures without a mask, left out", *unused[:1], count=len(unused))
    return Source(names=tuple(names), samples=samples, unlabelled="ignore")


def _table(path: Path) -> dict[int, str]:
    table: dict[int, str] = {}
    for row in read_csv(path)[1:]:
        if len(row) != 2 or not row[0].isdecimal():
            raise FormatError(f"{path}: a row is a pixel value and a class, not {','.join(row)[:60]!r}")
        value, name = int(number(row[0], path)), label_of(row[1], path)
        if value > 255 or value in table or name in table.values():
            raise FormatError(f"{path}: the value {value} or the class {name} occurs twice, or is above 255")
        table[value] = name
    if not table:
        raise FormatError(f"{path}: no class")
    return dict(sorted(table.items()))


def _positions(path: Path, table: dict[int, str]) -> np.ndarray:
    values = read_mask(path)
    order = np.full(256, -9, np.int16)
    order[list(table)] = np.arange(len(table))
    positions = order[values]
    if (positions == -9).any():
        raise FormatError(f"{path}: the value {int(values[positions == -9][0])} is not in {_CLASSES}")
    return positions
