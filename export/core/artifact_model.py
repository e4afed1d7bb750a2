"""An exported artifact in the form of a Keras model, so that it can be used wherever a model can."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.export.core.artifact import Artifact
from zoo.layers.resize import FLOOR, SegmentationLogits

# Softmax of a logit of 0 among these is 1: what a mask says of a pixel's class, it says for sure.
_EXCLUDED = math.log(FLOOR)


class _Runtime(keras.layers.Layer):
    """Runs the artifact, one image after the other: many have a batch of one built in."""

    def __init__(self, artifact: Artifact):
        super().__init__(name="artifact", dtype="float32")
        self.artifact = artifact

    def call(self, images):
        metadata, classes = self.artifact.metadata, len(self.artifact.label_set)
        dtype = tf.as_dtype(metadata.mask_type) if metadata.gives_mask else tf.float32

        def run(image):
            output = tf.numpy_function(self.artifact.predict, [image[tf.newaxis]], dtype)[0]
            if metadata.gives_mask:
                output = tf.one_hot(output, classes, on_value=0.0, off_value=_EXCLUDED)
            return tf.ensure_shape(output, (*image.shape[:2], classes))

        return tf.map_fn(run, images, fn_output_signature=tf.float32)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.artifact.label_set))


def as_model(artifact: Artifact) -> keras.Model:
    """The artifact as a Keras model for inference; it has no weights and cannot be saved.

    Args:
        artifact: One with full-size logits, or with a mask.

    Returns:
        A model as `zoo.load` gives, of the artifact's input size, or of any where it takes any. The class
        that a mask names has all of the probability.

    Raises:
        InputError: An artifact with logits at the network's stride.
    """
    if artifact.metadata.head == "small_logits":
        raise InputError(
            f"{artifact.path} gives {artifact.metadata.head!r}, smaller than the image;"
            " export it with head='logits' or 'mask'"
        )
    image = keras.Input((*(artifact.input_size or (None, None)), 3), name="image")
    metadata = artifact.metadata
    source = metadata.source or {"model": metadata.model, "weights": None}
    # The size is that of the image already: this resizes nothing and states labels and source.
    said = {"label_set": artifact.label_set, "source": source}
    logits = SegmentationLogits(convention="half_pixel", name="logits", **said)
    return keras.Model(image, logits([_Runtime(artifact)(image), image]), name=metadata.model)
