"""An exported artifact in the form of a Keras model, so that it can be used wherever a model can."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.export.artifacts import Artifact
from zoo.resize import SegmentationLogits


class _Runtime(keras.layers.Layer):
    """Runs the artifact, one image after the other: many have a batch of one built in."""

    def __init__(self, artifact: Artifact):
        super().__init__(name="artifact", dtype="float32")
        self.artifact = artifact

    def call(self, images):
        def run(image):
            logits = tf.numpy_function(self.artifact.predict, [image[tf.newaxis]], tf.float32)[0]
            return tf.ensure_shape(logits, (*image.shape[:2], len(self.artifact.label_set)))

        return tf.map_fn(run, images)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.artifact.label_set))


def as_model(artifact: Artifact) -> keras.Model:
    """The artifact as a Keras model for inference; it has no weights and cannot be saved.

    Args:
        artifact: One with full-size logits.

    Returns:
        A model as `zoo.load` gives, of the artifact's input size, or of any where it takes any.

    Raises:
        InputError: An artifact with logits at the network's stride.
    """
    if artifact.metadata.head != "logits":
        raise InputError(
            f"{artifact.path} gives {artifact.metadata.head!r}, smaller than the image;"
            " export it with head='logits'"
        )
    image = keras.Input((*(artifact.input_size or (None, None)), 3), name="image")
    # The size is that of the image already: this resizes nothing and states the labels.
    logits = SegmentationLogits(convention="half_pixel", label_set=artifact.label_set, name="logits")
    model = keras.Model(image, logits([_Runtime(artifact)(image), image]), name=artifact.metadata.model)
    model.zoo_source = artifact.metadata.source or {"model": artifact.metadata.model, "weights": None}
    return model
