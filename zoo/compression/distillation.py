"""A larger model as teacher (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network")."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.labels import class_order
from zoo.layers.resize import label_set_of
from zoo.metrics.masks import counted_pixels
from zoo.models.surgery import without_auxiliary


class Distillation:
    """The loss against true masks, mixed with that against a teacher's probabilities.

    ``(1 − weight) · loss + weight · T² · KL(softmax(teacher / T) ‖ softmax(student / T))``, the second term
    a mean over the pixels that count (Hinton et al. 2015, section 2; T² keeps its gradient at one scale).

    Args:
        teacher: A trained zoo model with the student's classes, in any order.
        temperature: T, above 0; 1 leaves the probabilities as they are.
        weight: Of the teacher, from 0 to 1.

    Raises:
        InputError: A model that is none of the zoo's, or a number out of range.
    """

    def __init__(self, teacher: keras.Model, *, temperature: float = 2.0, weight: float = 0.5):
        if not (isinstance(temperature, int | float) and math.isfinite(temperature) and temperature > 0):
            raise InputError(f"temperature must be a number above 0, not {temperature!r}")
        if not (isinstance(weight, int | float) and 0 <= weight <= 1):
            raise InputError(f"the weight of the teacher must be from 0 to 1, not {weight!r}")
        self.label_set = label_set_of(teacher)
        self.teacher = without_auxiliary(teacher)
        self.temperature, self.weight = float(temperature), float(weight)

    def check(self, student: keras.Model) -> None:
        """Raise an `InputError` unless teacher and student have the same classes."""
        class_order(self.label_set, label_set_of(student))

    def __call__(self, image, mask, logits, *, loss, student_labels, ignore_label: int | None) -> tf.Tensor:
        """The mixed loss, a scalar.

        Args:
            image: ``(batch, height, width, 3)`` in 0…255, what the student saw.
            mask: ``(batch, height, width)`` integers.
            logits: The student's, ``(batch, height, width, classes)``.
            loss: Called with mask and logits.
            student_labels: `LabelSet` of the student.
            ignore_label: Pixels of the mask that do not count, or `None`.
        """
        hard = tf.cast(loss(mask, logits), tf.float32)
        if not self.weight:
            return hard
        order = class_order(self.label_set, student_labels)
        # The teacher's channel for each class of the student.
        channels = [int(i) for i in sorted(range(len(order)), key=lambda index: order[index])]
        known = tf.gather(self.teacher(image, training=False), channels, axis=-1)
        soft = self._divergence(tf.stop_gradient(known), logits)
        counted = tf.cast(counted_pixels(tf.convert_to_tensor(mask), ignore_label=ignore_label), tf.float32)
        mean = tf.math.divide_no_nan(tf.reduce_sum(soft * counted), tf.reduce_sum(counted))
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * mean

    def _divergence(self, teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
        """KL divergence of each pixel."""
        wanted = tf.nn.log_softmax(tf.cast(teacher, tf.float32) / self.temperature)
        found = tf.nn.log_softmax(tf.cast(student, tf.float32) / self.temperature)
        return tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=-1)
