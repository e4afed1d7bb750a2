"""The class of the zoo's models: a functional `keras.Model` that trains without leaving its graph behind."""

from __future__ import annotations

import functools
import inspect

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE


def _without_class_weight(method):
    """A method of Keras whose ``class_weight`` is refused: it is for one label per image."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        if signature.bind(self, *args, **kwargs).arguments.get("class_weight") is not None:
            raise InputError(
                "class_weight of Keras is for one label per image; a mask has one per pixel: compile with "
                "zoo.training.losses.SparseCrossEntropy(class_weights=[one number per class])"
            )
        return method(self, *args, **kwargs)

    return checked


@keras.saving.register_keras_serializable(PACKAGE)
class SegmentationModel(keras.Model):
    """``SegmentationModel(inputs, outputs)``; what Keras has for models holds for it.

    A step of `keras.Model.fit` sums the gradients over the replicas, though there be one. That sum enters
    TensorFlow's global registry of gradients, which forgets nothing: graph, weights and all stay in memory
    after the model is gone. Here the step of a single device runs where there is nothing to be summed.
    """

    fit = _without_class_weight(keras.Model.fit)
    train_on_batch = _without_class_weight(keras.Model.train_on_batch)

    def train_step(self, data):
        """Keras' own, in the same numbers."""
        context = tf.distribute.get_replica_context()
        if context is None or tf.distribute.has_strategy():
            return super().train_step(data)
        return context.merge_call(lambda _, data: keras.Model.train_step(self, data), args=(data,))
