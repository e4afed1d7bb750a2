"""Losses that are means over pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers import PACKAGE
from zoo.training.losses.base import SegmentationLoss

BORDER = 2  # pixels


def _pixel_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of every pixel."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _share(value, what: str, *, low_allowed: bool, high_allowed: bool) -> float:
    inside = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if not inside or (value == 0 and not low_allowed) or (value == 1 and not high_allowed):
        kind = f"{'from' if low_allowed else 'above'} 0 {'to' if high_allowed else 'and below'} 1"
        raise InputError(f"{what} must be a number {kind}, not {value!r}")
    return float(value)


def _at_least_0(value, what: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise InputError(f"{what} must be a number of 0 or more, not {value!r}")
    return float(value)


def _near_borders(labels: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """1 where two classes stand within `BORDER` pixels, else 0; ignored pixels are no class."""
    side = 2 * BORDER + 1
    labels = tf.cast(labels, tf.float32)
    far = 1e6
    largest = tf.where(counted > 0, labels, -far)[..., tf.newaxis]
    smallest = tf.where(counted > 0, labels, far)[..., tf.newaxis]
    largest = tf.nn.max_pool2d(largest, side, 1, "SAME")
    smallest = -tf.nn.max_pool2d(-smallest, side, 1, "SAME")
    return tf.cast(largest > smallest, tf.float32)[..., 0]


@keras.saving.register_keras_serializable(PACKAGE)
class SparseCrossEntropy(SegmentationLoss):
    """Cross-entropy, its mean over the pixels that count.

    With weights w and smoothing ε, a pixel of class y among C has the loss
    ``(1 − ε)·w[y]·(−log p[y]) + ε/C·Σ w[c]·(−log p[c])``, and the sum is divided by the sum of the pixels'
    ``w[y]``, as PyTorch defines it. With a focus γ the pixel's loss is multiplied by ``(1 − p[y])^γ`` (Lin et
    al. 2017, focal loss, equation 4), which leaves the divisor as it is; with a border weight b, ``w[y]`` by
    1 + b where another class is near.

    Args:
        ignore_label: Value of true pixels that never count.
        class_weights: One non-negative number a class, or `None` for equal ones.
        label_smoothing: ε in 0…1 (Szegedy et al. 2016, section 7); 1 excluded.
        focus: γ, at least 0; goes with no smoothing.
        border_weight: b, at least 0. Near is within `BORDER` pixels in both directions.
        name: Of the loss.
        **kwargs: Of `SegmentationLoss`.

    Raises:
        InputError: Weights, smoothing, focus or border weight out of range, or not as many weights as logits
            have channels.
    """

    def __init__(
        self,
        *,
        ignore_label: int | None = 255,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        focus: float = 0.0,
        border_weight: float = 0.0,
        name: str | None = "cross_entropy",
        **kwargs,
    ):
        super().__init__(ignore_label=ignore_label, name=name, **kwargs)
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        if self.class_weights is not None and not (
            all(math.isfinite(w) and w >= 0 for w in self.class_weights) and any(self.class_weights)
        ):
            raise InputError(f"class_weights must be numbers of at least 0, not {self.class_weights}")
        self.label_smoothing = _share(
            label_smoothing, "label_smoothing", low_allowed=True, high_allowed=False
        )
        self.focus = _at_least_0(focus, "focus")
        self.border_weight = _at_least_0(border_weight, "border_weight")
        if self.focus and self.label_smoothing:
            raise InputError("focus and label_smoothing exclude each other")

    def parts(self, labels, logits, counted):
        weights = tf.constant(self._weights(logits.shape[-1]), tf.float32)
        pixel_weights = tf.gather(weights, labels) * counted
        if self.border_weight:
            pixel_weights *= 1.0 + self.border_weight * _near_borders(labels, counted)
        losses = _pixel_losses(labels, logits)
        if self.focus:
            # Above 0, where a power below 1 has no finite slope.
            losses *= tf.maximum(-tf.math.expm1(-losses), 1e-7) ** self.focus
        losses *= pixel_weights
        if self.label_smoothing:
            spread = -tf.reduce_mean(tf.nn.log_softmax(logits) * weights, axis=-1) * counted
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * spread
        return tf.reduce_sum(losses), tf.reduce_sum(pixel_weights)

    def _weights(self, classes: int) -> list[float]:
        weights = self.class_weights or [1.0] * classes
        if len(weights) != classes:
            raise InputError(f"{len(weights)} class_weights for logits with {classes} channels")
        return weights

    def get_config(self) -> dict:
        names = ("class_weights", "label_smoothing", "focus", "border_weight")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(PACKAGE)
class OnlineHardExamples(SegmentationLoss):
    """Cross-entropy of the hardest pixels of each image: online hard example mining (OHEM).

    Shrivastava et al. 2016 rank a network's own examples by their loss and learn from the hardest; Wu et al.
    2016 ("High-performance semantic segmentation using very deep fully convolutional networks", section 3)
    take pixels for examples. The result is the mean over the pixels that are kept.

    Args:
        ignore_label: Value of true pixels that never count, nor are kept.
        keep_ratio: Keep this share of an image's counted pixels, rounded up. Give this or `threshold`.
        threshold: Keep the pixels whose true class has a probability below this.
        min_kept: Keep at least so many pixels of an image, if as many count.
        name: Of the loss.
        **kwargs: Of `SegmentationLoss`.

    Raises:
        InputError: Both or neither of ratio and threshold, or a number out of range.
    """

    def __init__(
        self,
        *,
        ignore_label: int | None = 255,
        keep_ratio: float | None = None,
        threshold: float | None = None,
        min_kept: int = 1,
        name: str | None = "online_hard_examples",
        **kwargs,
    ):
        super().__init__(ignore_label=ignore_label, name=name, **kwargs)
        if (keep_ratio is None) == (threshold is None):
            raise InputError("online hard examples take either keep_ratio or threshold")
        if isinstance(min_kept, bool) or not isinstance(min_kept, int) or min_kept < 1:
            raise InputError(f"min_kept must be a positive integer, not {min_kept!r}")
        for value, what in ((keep_ratio, "keep_ratio"), (threshold, "threshold")):
            if value is not None:
                _share(value, what, low_allowed=False, high_allowed=True)
        self.keep_ratio, self.threshold, self.min_kept = keep_ratio, threshold, min_kept

    def parts(self, labels, logits, counted):
        shape = (tf.shape(labels)[0], -1)
        counted = tf.reshape(counted, shape)
        losses = tf.reshape(_pixel_losses(labels, logits), shape)
        kept = self._kept(losses, counted)
        # Ignored pixels are sorted behind all others, whose losses are at least 0.
        ranked = tf.sort(tf.where(counted > 0, losses, -1.0), direction="DESCENDING")
        hard = tf.range(tf.shape(ranked)[1])[tf.newaxis] < kept[:, tf.newaxis]
        return tf.reduce_sum(tf.where(hard, ranked, 0.0)), tf.reduce_sum(tf.cast(kept, tf.float32))

    def _kept(self, losses: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
        """Pixels to keep of every image, int32 ``(batch,)``."""
        available = tf.reduce_sum(tf.cast(counted, tf.int32), axis=1)
        if self.threshold is not None:
            hard = (losses > -math.log(self.threshold)) & (counted > 0)
            wanted = tf.reduce_sum(tf.cast(hard, tf.int32), axis=1)
        else:
            # In float64: rounding up must not see the errors of a product in float32.
            exact = tf.cast(available, tf.float64) * tf.constant(self.keep_ratio, tf.float64)
            wanted = tf.cast(tf.math.ceil(exact), tf.int32)
        return tf.minimum(tf.maximum(wanted, self.min_kept), available)

    def get_config(self) -> dict:
        own = {"keep_ratio": self.keep_ratio, "threshold": self.threshold, "min_kept": self.min_kept}
        return {**super().get_config(), **own}
