"""What a run writes for people: CSV files, TensorBoard events, and a progress bar."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from zoo.errors import InputError
from zoo.files import write_text
from zoo.images.rendering import overlay
from zoo.labels import LabelSet

Row = dict[str, float]


class Table:
    """Rows of numbers, each with its ``step``; on disk as a CSV file where a path is given.

    A row that is appended again after a resume replaces the one that was written before the interruption.

    Args:
        path: Of the CSV file, or `None`; existing rows up to `step` are kept.
        step: The run goes on from here.
        write: Whether this process writes the file.

    Raises:
        InputError: An existing file that is not such a table.
    """

    def __init__(self, path: Path | None, *, step: int = 0, write: bool = True):
        self.path = path if write else None
        self.rows: list[Row] = []
        if path is None or not path.is_file():
            return
        self.rows = [row for row in _read(path) if row["step"] <= step]
        self._rewrite()

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row; a file has the columns of its first one."""
        self.rows.append(dict(row))
        if self.path is None:
            return
        if len(self.rows) == 1:
            self._rewrite()
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            _writer(file, self.rows[0]).writerow(self.rows[-1])

    def _rewrite(self) -> None:
        if self.path is None:
            return
        text = io.StringIO(newline="")
        if self.rows:
            writer = _writer(text, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def _writer(file, row: Row) -> csv.DictWriter:
    # A table that an earlier version began may lack a column; it goes on without.
    options = {"extrasaction": "ignore", "lineterminator": "\n"}
    return csv.DictWriter(file, fieldnames=list(row), **options)


def _read(path: Path) -> list[Row]:
    """Complete rows of a table; a last line that was cut off by a kill is not one."""
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    rows = []
    try:
        for line in csv.DictReader(io.StringIO(complete, newline="")):
            rows.append({key: float(value) for key, value in line.items()})
            rows[-1]["step"] = int(rows[-1]["step"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a log of this program; move it away to start a new one") from error
    return rows


class Events:
    """TensorBoard events, written without TensorBoard being installed.

    Args:
        folder: Of the event files, or `None` to write nothing.
    """

    def __init__(self, folder: Path | None):
        self._writer = None if folder is None else tf.summary.create_file_writer(str(folder))

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        """Write each value under its name."""
        summary = tf.compat.v1.Summary
        self._write(
            [summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()], step
        )

    def image(self, name: str, image: np.ndarray, *, step: int) -> None:
        """Write a picture ``(height, width, 3)`` uint8."""
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG")
        summary = tf.compat.v1.Summary
        height, width = image.shape[:2]
        encoded = summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png.getvalue())
        self._write([summary.Value(tag=name, image=encoded)], step)

    def _write(self, values: list, step: int) -> None:
        if self._writer is None:
            return
        event = tf.compat.v1.Summary(value=values).SerializeToString()
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(event, step=step)
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def model_overlay(model: keras.Model, image: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """An image ``(height, width, 3)`` uint8 under the classes that a model gives it, with a legend."""
    logits = model(image[np.newaxis].astype("float32"), training=False)
    return overlay(image, np.argmax(logits[0], axis=-1), label_set)
