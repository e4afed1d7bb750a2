"""Losses of how well whole regions overlap."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers import PACKAGE
from zoo.training.losses.base import SegmentationLoss


class _RegionLoss(SegmentationLoss):
    """Base of losses of whole regions: the mean over groups of pixels and the classes that occur in each.

    Args:
        ignore_label: Value of true pixels that never count.
        per_image: Whether each image is a group, or the batch is one. Under several replicas a batch is what
            one replica has: only with `True` is the loss the same as on one device.
        every: Rows and columns from one pixel that counts to the next. Logits that a network enlarged eight
            times say the same at every third pixel, for a ninth of the cost; an odd number meets every place
            within the squares that dense upsampling convolution predicts at once.
        name: Of the loss.
        **kwargs: Of `SegmentationLoss`.
    """

    def __init__(
        self, *, ignore_label: int | None = 255, per_image: bool = True, every: int = 1, name=None, **kwargs
    ):
        super().__init__(ignore_label=ignore_label, name=name, **kwargs)
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every must be a whole number of 1 or more, not {every!r}")
        self.per_image = bool(per_image)
        self.every = every

    def parts(self, labels, logits, counted):
        labels, logits, counted = (x[:, :: self.every, :: self.every] for x in (labels, logits, counted))
        classes = logits.shape[-1]
        shape = (tf.shape(labels)[0] if self.per_image else 1, -1)
        true = tf.one_hot(tf.reshape(labels, shape), classes) * tf.reshape(counted, shape)[..., tf.newaxis]
        found = tf.reshape(tf.nn.softmax(logits) * counted[..., tf.newaxis], (*shape, classes))
        # The regions (group, class, pixel), of which only those that occur count.
        true, found = (tf.transpose(x, (0, 2, 1)) for x in (true, found))
        present = tf.cast(tf.reduce_any(true > 0, axis=-1), tf.float32)
        of_groups = tf.math.divide_no_nan(
            tf.reduce_sum(self.region_losses(true, found) * present, axis=-1), tf.reduce_sum(present, axis=-1)
        )
        return tf.reduce_sum(of_groups), tf.reduce_sum(tf.reduce_max(present, axis=-1))

    def region_losses(self, true: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        """``(groups, classes)`` from truth (0 or 1) and probabilities, both ``(groups, classes, pixels)``."""
        raise NotImplementedError

    def get_config(self) -> dict:
        return {**super().get_config(), "per_image": self.per_image, "every": self.every}


@keras.saving.register_keras_serializable(PACKAGE)
class Dice(_RegionLoss):
    """One minus the soft Dice coefficient ``2·Σ p·g / (Σ p + Σ g)``, its mean over the classes that occur.

    After Milletari et al. 2016 (V-Net, section 3), whose denominator has squares. A class that occurs has at
    least one true pixel, so that nothing needs to be added to the denominator.

    Args:
        ignore_label: Value of true pixels that never count.
        per_image: Whether p and g are summed over each image, or over the batch of one replica.
        every: Rows and columns from one pixel that counts to the next.
        name: Of the loss.
        **kwargs: Of `SegmentationLoss`.
    """

    def __init__(
        self,
        *,
        ignore_label: int | None = 255,
        per_image: bool = True,
        every: int = 1,
        name="dice",
        **kwargs,
    ):
        super().__init__(ignore_label=ignore_label, per_image=per_image, every=every, name=name, **kwargs)

    def region_losses(self, true, found):
        both = tf.reduce_sum(true * found, axis=-1)
        return 1 - tf.math.divide_no_nan(2 * both, tf.reduce_sum(true + found, axis=-1))


@keras.saving.register_keras_serializable(PACKAGE)
class LovaszSoftmax(_RegionLoss):
    """Lovász-softmax: a convex surrogate of one minus the intersection over union.

    Berman et al. 2018, equations 8, 9 and 11, its mean over the classes that occur.

    Args:
        ignore_label: Value of true pixels that never count.
        per_image: Whether the union is one of each image, or of the batch of one replica (the authors'
            default).
        every: Rows and columns from one pixel that counts to the next.
        name: Of the loss.
        **kwargs: Of `SegmentationLoss`.
    """

    def __init__(
        self,
        *,
        ignore_label: int | None = 255,
        per_image: bool = True,
        every: int = 1,
        name="lovasz_softmax",
        **kwargs,
    ):
        super().__init__(ignore_label=ignore_label, per_image=per_image, every=every, name=name, **kwargs)

    def region_losses(self, true, found):
        # Ignored pixels have an error of 0: they come last, where they change neither value nor gradient.
        errors, order = tf.math.top_k(tf.abs(true - found), k=tf.shape(true)[-1])
        is_true = tf.gather(true, order, batch_dims=2)
        return tf.reduce_sum(errors * tf.stop_gradient(_jaccard_steps(is_true)), axis=-1)


def _jaccard_steps(is_true: tf.Tensor) -> tf.Tensor:
    """How much each pixel, taken as wrong after those before it, adds to the Jaccard loss.

    The authors subtract neighbouring values of the loss, whose difference drowns in float32 for a million of
    pixels. In closed form: a true pixel takes 1 from the intersection I over the union U, another one adds
    1 to U, which is I/(U − 1) − I/U.
    """
    size = tf.reduce_sum(is_true, axis=-1, keepdims=True)
    intersection = size - tf.cumsum(is_true, axis=-1)
    union = size + tf.cumsum(1 - is_true, axis=-1)
    added = tf.math.divide_no_nan(intersection, union * (union - 1))
    return tf.where(is_true > 0, tf.math.reciprocal_no_nan(union), added)
