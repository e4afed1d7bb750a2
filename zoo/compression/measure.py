"""What compression changes: score, bytes, latency and zeros, of a model before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from zoo.compression.selection import gzip_size

RUNS = 11


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One column of the table.

    Attributes:
        mean_iou: On the validation part, from 0 to 1, or `None` without one.
        keras_bytes: Size of the ``.keras`` file.
        keras_gzip_bytes: The same after gzip.
        tflite_bytes: Size of the TFLite file.
        tflite_gzip_bytes: The same after gzip.
        latency_ms: Median time of one image in LiteRT.
        sparsity: Share of zeros in all kernels.
    """

    mean_iou: float | None
    keras_bytes: int
    keras_gzip_bytes: int
    tflite_bytes: int
    tflite_gzip_bytes: int
    latency_ms: float
    sparsity: float

    def to_dict(self) -> dict:
        """Plain data for a JSON file."""
        return asdict(self)


def sizes(keras_file: Path, tflite_file: Path) -> dict[str, int]:
    """The sizes that `Figures` tells of two files."""
    return {
        "keras_bytes": keras_file.stat().st_size,
        "keras_gzip_bytes": gzip_size(keras_file),
        "tflite_bytes": tflite_file.stat().st_size,
        "tflite_gzip_bytes": gzip_size(tflite_file),
    }


def latencies(files: Sequence[Path], *, threads: int, runs: int = RUNS) -> list[float]:
    """Median time of one image in milliseconds, of each TFLite file.

    The files take turns, so that whatever else the machine does meets all of them alike.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreters = [Interpreter(model_path=str(path), num_threads=threads) for path in files]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
        (source,) = interpreter.get_input_details()
        interpreter.set_tensor(source["index"], np.full(source["shape"], 100, source["dtype"]))
        interpreter.invoke()
    found: list[list[float]] = [[] for _ in files]
    for _ in range(runs):
        for times, interpreter in zip(found, interpreters, strict=True):
            start = time.perf_counter()
            interpreter.invoke()
            times.append(1000 * (time.perf_counter() - start))
    return [statistics.median(times) for times in found]


def table(before: Figures, after: Figures) -> str:
    """Both columns and what remains of the first, as text."""
    rows = [("", "before", "after", "ratio"), _score_row(before, after)]
    for label, name in (
        ("bytes .keras", "keras_bytes"),
        ("bytes .keras, gzip", "keras_gzip_bytes"),
        ("bytes .tflite", "tflite_bytes"),
        ("bytes .tflite, gzip", "tflite_gzip_bytes"),
    ):
        old, new = getattr(before, name), getattr(after, name)
        rows.append((label, f"{old:,}", f"{new:,}", f"{new / old:.3f}"))
    old, new = before.latency_ms, after.latency_ms
    rows.append(("LiteRT ms an image", f"{old:.1f}", f"{new:.1f}", f"{new / old:.3f}"))
    rows.append(("zeros in kernels", f"{before.sparsity:.1%}", f"{after.sparsity:.1%}", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3))]) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _score_row(before: Figures, after: Figures) -> tuple[str, str, str, str]:
    if before.mean_iou is None or after.mean_iou is None:
        return "mIoU", "–", "–", ""
    old, new = 100 * before.mean_iou, 100 * after.mean_iou
    return "mIoU", f"{old:.2f}", f"{new:.2f}", f"{new - old:+.2f}"
