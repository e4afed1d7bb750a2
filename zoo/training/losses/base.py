"""What the losses share: which pixels count, and by how much a sum is divided."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.replicas import replica_sums
from zoo.metrics.masks import check_classes, counted_pixels


class SegmentationLoss(keras.losses.Loss):
    """Base of the losses; a subclass states `parts`.

    Args:
        ignore_label: Value of true pixels that never count; `None` counts all.
        name: Of the loss.
        reduction: Only Keras' default, for `from_config`.
    """

    def __init__(
        self, *, ignore_label: int | None = 255, name: str | None = None, reduction="sum_over_batch_size"
    ):
        if reduction != "sum_over_batch_size":
            raise InputError(f"reduction must be 'sum_over_batch_size', not {reduction!r}")
        if ignore_label is not None and (isinstance(ignore_label, bool) or not isinstance(ignore_label, int)):
            raise InputError(f"ignore_label must be an integer or None, not {ignore_label!r}")
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.ignore_label = ignore_label

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            raise InputError(
                "segmentation losses take no sample_weight: use class weights or the ignore label"
            )
        return super().__call__(y_true, y_pred)

    def call(self, y_true, y_pred):
        """``(1,)`` float32, which Keras reduces."""
        logits, labels = tf.cast(y_pred, tf.float32), self._labels(y_true, y_pred)
        counted = counted_pixels(labels, ignore_label=self.ignore_label)
        valid = check_classes(labels, classes=logits.shape[-1], among=counted, what="ground truth")
        # Ignored pixels take part with class 0 and weight 0, so that every shape stays static.
        labels = tf.clip_by_value(tf.where(counted, labels, 0), 0, logits.shape[-1] - 1)
        total, amount = self.parts(labels, logits, tf.cast(counted, tf.float32))
        loss = tf.math.divide_no_nan(total, _mean_over_replicas(amount))
        return tf.where(valid, loss, math.nan)[tf.newaxis]

    def parts(self, labels: tf.Tensor, logits: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The sum and what it is divided by, both scalar.

        Args:
            labels: int32 ``(batch, height, width)``, 0 where ignored.
            logits: float32 ``(batch, height, width, classes)``.
            counted: float32 ``(batch, height, width)``, 1 where a pixel counts, else 0.
        """
        raise NotImplementedError

    def _labels(self, y_true, y_pred) -> tf.Tensor:
        labels = tf.convert_to_tensor(y_true)
        if labels.shape.rank == 4 and labels.shape[-1] == 1:
            labels = labels[..., 0]
        elif labels.shape.rank == 4 and y_pred.shape.rank == 4 and labels.shape[-1] == y_pred.shape[-1]:
            labels = _from_one_hot(labels)
        labels = _whole(labels)
        if y_pred.shape.rank != 4 or not labels.shape.is_compatible_with(y_pred.shape[:-1]):
            raise InputError(
                "a segmentation loss takes logits (batch, height, width, classes) and class indices"
                f" (batch, height, width), not {y_pred.shape} and {y_true.shape}"
            )
        return labels

    def get_config(self) -> dict:
        return {**super().get_config(), "ignore_label": self.ignore_label}


def _whole(labels: tf.Tensor) -> tf.Tensor:
    """int32; -1, which is no class, where a number is none."""
    whole = tf.cast(labels, tf.int32)
    if labels.dtype.is_floating:
        whole = tf.where(tf.cast(whole, labels.dtype) == labels, whole, -1)
    return whole


def _from_one_hot(masks: tf.Tensor) -> tf.Tensor:
    """int32 class indices; -1, which is no class, where not exactly one class is 1 and the others 0."""
    one = tf.cast(1, masks.dtype)
    single = tf.reduce_sum(tf.cast(masks == one, tf.int32), axis=-1) == 1
    single &= tf.reduce_all((masks == one) | (masks == tf.cast(0, masks.dtype)), axis=-1)
    return tf.where(single, tf.argmax(masks, axis=-1, output_type=tf.int32), -1)


def _mean_over_replicas(amount: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return amount
    # Keras divides a replica's loss by their number; with the mean below it, that of the batch results.
    return replica_sums([amount])[0] / tf.cast(context.num_replicas_in_sync, amount.dtype)
