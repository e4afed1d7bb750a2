"""What compression changes: score, bytes, latency and zeros, of a model before and after."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from zoo.compression.compressed import Compressed
from zoo.compression.quantization import is_quantized, to_tflite
from zoo.compression.selection import gzip_size, sparsity
from zoo.datasets import Dataset
from zoo.evaluation.scoring import evaluate
from zoo.export import ExportReport
from zoo.export import to_tflite as to_float_tflite
from zoo.training.checkpoints import write_model

RUNS = 11
# Images on which a file is compared with its model.
COMPARED = 8


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


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model before and after, with how its file was proven.

    Attributes:
        before: Figures of the model that was given.
        after: Figures of the compressed one; a quantized model is scored as its TFLite file computes.
        report: Of the compressed model's TFLite file.
        result: What was measured.
        input_size: (height, width) of the TFLite files in pixels.
        threads: Of LiteRT.
    """

    before: Figures
    after: Figures
    report: ExportReport
    result: Compressed
    input_size: tuple[int, int]
    threads: int

    def to_dict(self) -> dict:
        """Plain data for a JSON file."""
        layers = self.result.sparsity.layers
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "parity": self.report.parity.to_dict(),
            "float_layers": self.result.float_layers,
            "layers": [{**asdict(x), "sparsity": x.sparsity} for x in layers],
            "input_size": list(self.input_size),
            "threads": self.threads,
        }

    def __str__(self) -> str:
        return table(self.before, self.after)


def measure(
    model: keras.Model,
    result: Compressed,
    *,
    output: Path,
    input_size: tuple[int, int],
    images: Sequence[np.ndarray],
    validation: Dataset | None = None,
    threads: int = 2,
    tile: int | tuple[int, int] | None = None,
) -> Measured:
    """Write ``model.keras`` and ``model.tflite`` of a compressed model, and compare it with the one before.

    Args:
        model: As it was before.
        result: As it is now.
        output: Folder that exists.
        input_size: (height, width) of the TFLite files in pixels.
        images: RGB images ``(height, width, 3)`` of that size, on which the file is compared with its model.
        validation: Data to score both on, or `None`.
        threads: Of LiteRT.
        tile: Windows through which Keras models see large images, as for `zoo.segment`; a file sees windows
            of its own size.

    Raises:
        InputError: A model that has no TFLite file, or a folder that cannot be written.
        ParityError: A file that does not compute what its model computes.
    """
    quantized = is_quantized(result.model)
    keras_file, tflite_file = output / "model.keras", output / "model.tflite"
    write_model(result.model, keras_file)
    export = to_tflite if quantized else to_float_tflite
    report = export(result.model, tflite_file, input_size=input_size, images=images)
    with tempfile.TemporaryDirectory(prefix=".before-", dir=output) as folder:
        old_keras, old_tflite = Path(folder) / "model.keras", Path(folder) / "model.tflite"
        write_model(model, old_keras)
        to_float_tflite(model, old_tflite, input_size=input_size)
        old_time, new_time = latencies([old_tflite, tflite_file], threads=threads)
        old_sizes = sizes(old_keras, old_tflite)
    old_score = _score(model, validation, tile)
    scored, seen = (tflite_file, None) if quantized else (result.model, tile)
    new_score = _score(scored, validation, seen)
    before = {"mean_iou": old_score, "latency_ms": old_time, **old_sizes}
    after = {"mean_iou": new_score, "latency_ms": new_time, **sizes(keras_file, tflite_file)}
    return Measured(
        before=Figures(sparsity=sparsity(model).sparsity, **before),
        after=Figures(sparsity=result.sparsity.sparsity, **after),
        report=report,
        result=result,
        input_size=tuple(input_size),
        threads=threads,
    )


def sample_images(data: Dataset, size: tuple[int, int]) -> list[np.ndarray]:
    """The first images of a data set at (height, width) `size`, for `measure`."""
    images = [Image.fromarray(data.read(index)[0]) for index in range(min(COMPARED, len(data)))]
    return [np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)) for image in images]


def _score(
    model: keras.Model | Path, validation: Dataset | None, tile: int | tuple[int, int] | None
) -> float | None:
    return None if validation is None else evaluate(model, validation, tile=tile).mean_iou


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
