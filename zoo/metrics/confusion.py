"""Scores from integer confusion matrices.

Keras' own IoU metrics drop the pixels whose *prediction* is no class, which flatters a model with spare
channels. Here such a prediction is an error, and nothing but integers is accumulated, so that the order of
images, batches and replicas cannot change a score.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.labels import FEWEST_CLASSES, MOST_CLASSES, checked_count
from zoo.metrics.masks import check_classes, counted_pixels


class ConfusionMatrix:
    """Counts of pixels by true class (rows) and predicted class (columns).

    Args:
        classes: Number of classes, from 2 to 65,535.
        ignore_label: Value of true pixels that never count, none of the classes; `None` counts all.

    Raises:
        InputError: Another number of classes, or an ignore label that is one of the classes.
    """

    def __init__(self, classes: int, ignore_label: int | None = None):
        least, most = f"at least {FEWEST_CLASSES}", f"at most {MOST_CLASSES}"
        message = f"classes must be an integer of {least} and {most}, not {classes!r}"
        classes = checked_count(classes, message=message)
        if ignore_label is not None and 0 <= ignore_label < classes:
            raise InputError(
                f"ignore_label must be none of the classes 0 to {classes - 1}, not {ignore_label}"
            )
        self.classes = classes
        self.ignore_label = ignore_label
        self._counts = np.zeros((self.classes, self.classes), np.int64)

    @property
    def matrix(self) -> np.ndarray:
        """``(classes, classes)`` int64, a copy; rows are true classes, columns predicted ones."""
        return self._counts.copy()

    def update(self, mask_true, mask_pred, *, where: np.ndarray | None = None) -> None:
        """Count the pixels of one mask, or of a batch of masks.

        Args:
            mask_true: Integer class indices or the ignore label, any shape.
            mask_pred: Integer class indices of the same shape.
            where: bool of the same shape; the other pixels do not count. All are checked all the same.

        Raises:
            InputError: Shapes that differ, values that are no integers, a true value that is neither a class
                nor ignored, or a predicted value that is no class, at any pixel.
        """
        true, pred = np.asarray(mask_true), np.asarray(mask_pred)
        if true.shape != pred.shape:
            raise InputError(f"ground truth is {true.shape}, the prediction {pred.shape}: they must be equal")
        for array, what in ((true, "ground truth"), (pred, "prediction")):
            if array.dtype.kind not in "iu":
                raise InputError(f"a {what} mask holds integers, not {array.dtype}")
        counted = np.ones(true.shape, bool) if self.ignore_label is None else true != self.ignore_label
        self._check(true[counted], "ground truth")
        self._check(pred, "prediction")
        if where is not None:
            counted &= where
        index = true[counted].astype(np.int64) * self.classes + pred[counted]
        counts = np.bincount(index, minlength=self.classes**2)
        self._counts += counts.reshape(self._counts.shape)

    def add(self, matrix) -> None:
        """Add the counts of another matrix, such as that of `confusion_matrix`, summed over replicas.

        Raises:
            InputError: Another shape, no integers, or negative ones.
        """
        counts = np.asarray(matrix)
        if counts.shape != self._counts.shape or counts.dtype.kind not in "iu" or counts.min() < 0:
            raise InputError(
                f"a confusion matrix of {self.classes} classes holds {self._counts.shape} counts,"
                f" not {counts.shape} {counts.dtype}"
            )
        self._counts += counts.astype(np.int64)

    def _check(self, values: np.ndarray, what: str) -> None:
        outside = values[(values < 0) | (values >= self.classes)]
        if outside.size:
            ignored = "" if self.ignore_label is None else f" ({self.ignore_label} is ignored)"
            ignored = ignored if what == "ground truth" else ""
            raise InputError(
                f"{what} has the value {int(outside[0])};"
                f" allowed are the classes 0 to {self.classes - 1}{ignored}"
            )

    @property
    def pixels(self) -> int:
        """Number of pixels that count."""
        return int(self._counts.sum())

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of every class, ``(classes,)`` float64 in 0…1.

        A class that is in neither the truth nor the prediction is NaN. One that is predicted without
        ever being true is 0.
        """
        hits = np.diag(self._counts)
        return _ratio(hits, self._counts.sum(0) + self._counts.sum(1) - hits)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that are not NaN; NaN if no pixel counts."""
        return _mean(self.iou)

    @property
    def class_accuracy(self) -> np.ndarray:
        """Share of each true class's pixels that is predicted right (recall); NaN where it never is true."""
        return _ratio(np.diag(self._counts), self._counts.sum(1))

    @property
    def mean_class_accuracy(self) -> float:
        """Mean of `class_accuracy` over the classes that occur; NaN if no pixel counts."""
        return _mean(self.class_accuracy)

    @property
    def pixel_accuracy(self) -> float:
        """Share of all pixels that is predicted right; NaN if no pixel counts."""
        return float(_ratio(np.trace(self._counts), self._counts.sum()))


def _ratio(part, whole) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.asarray(part, np.float64) / np.asarray(whole)


def _mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def confusion_matrix(y_true, y_pred, *, classes: int, ignore_label: int | None = None) -> tf.Tensor:
    """The counts of `ConfusionMatrix` as a TensorFlow function of one batch.

    It keeps no state, so that a replica of any `tf.distribute.Strategy` can call it and the results be
    summed, over batches and over replicas; integers make the sum exact in any order.

    Args:
        y_true: Integer class indices or the ignore label, any shape.
        y_pred: Integer class indices of the same shape (the arg-max of logits).
        classes: Number of classes.
        ignore_label: Value of true pixels that never count; `None` counts all.

    Returns:
        int64 ``(classes, classes)``, rows are true classes.

    Raises:
        InputError: A true value that is neither a class nor ignored, a prediction that is no class, shapes
            that differ, or values that are no integers. In a graph, values are checked by TensorFlow, which
            raises InvalidArgumentError; one compiled by XLA leaves such pixels out.
    """
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    if not (y_true.dtype.is_integer and y_pred.dtype.is_integer):
        raise InputError(f"masks hold integers, not {y_true.dtype.name} and {y_pred.dtype.name}")
    if not y_true.shape.is_compatible_with(y_pred.shape):
        raise InputError(f"ground truth is {y_true.shape}, the prediction {y_pred.shape}: they must be equal")
    true, pred = tf.cast(y_true, tf.int32), tf.cast(y_pred, tf.int32)
    counted = counted_pixels(true, ignore_label=ignore_label)
    check_classes(true, classes=classes, among=counted, what="ground truth")
    check_classes(pred, classes=classes, among=tf.ones_like(counted), what="prediction")
    counted &= (true >= 0) & (true < classes) & (pred >= 0) & (pred < classes)
    # Pixels that do not count have a place of their own behind the matrix: every shape stays static.
    index = tf.where(counted, true * classes + pred, classes**2)
    size = classes**2 + 1
    counts = tf.math.bincount(tf.reshape(index, [-1]), minlength=size, maxlength=size, dtype=tf.int64)
    return tf.reshape(counts[:-1], (classes, classes))
