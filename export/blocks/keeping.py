"""What writers of models of sequences share: where they may write, what is told, and when a file is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from zoo.errors import InputError
from zoo.export.core.staging import report_path


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What was written, and how far it is from its model.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Its digest.
        operations: How many of each kind it holds.
        max_error: Largest difference between outputs, relative to the largest one.
        version: Of the package that wrote it.
    """

    path: str
    bytes: int
    sha256: str
    operations: dict[str, int]
    max_error: float
    version: str

    def to_dict(self) -> dict:
        """As plain values, with the path's name alone."""
        return {**dataclasses.asdict(self), "path": Path(self.path).name}

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True)


R = TypeVar("R", bound=FileReport)


def check_target(path: Path, suffixes: tuple[str, ...], *, what: str = "blocks are") -> None:
    """Raise an `InputError` for a path that cannot be written, or has none of the suffixes."""
    if path.suffix not in suffixes:
        raise InputError(f"{what} written to files named {' or '.join(suffixes)}, not {path.name!r}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: it is a folder, or its folder is missing or read-only")


def put(path: Path, content: bytes, measure: Callable[[Path], R]) -> R:
    """Write a file and its report, unless measuring it raises.

    Args:
        path: Where it is to stand.
        content: The file.
        measure: The report of a path where it stands for the time being.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as folder:
        work = Path(folder, path.name)
        work.write_bytes(content)
        report = measure(work)
        report_path(work).write_text(report.to_json(), encoding="utf-8")
        os.replace(report_path(work), report_path(path))
        os.replace(work, path)
    return report


def probe_sound(samples: int) -> np.ndarray:
    """A rising tone under noise, with loud and silent stretches, ``(samples,)`` float32 in −1…1."""
    time = np.arange(samples) / max(samples, 1)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, samples)
    found = (
        0.8 * np.sin(2 * np.pi * samples * (0.001 + 0.03 * time) * time) * np.abs(np.sin(9 * time)) + noise
    )
    found[samples // 2 : samples // 2 + samples // 10] = 0
    return found.astype(np.float32)
