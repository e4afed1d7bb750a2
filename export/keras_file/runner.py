"""``.keras`` files, timed as a `tf.function`."""

from __future__ import annotations

from pathlib import Path

from zoo.export.core.runner import TensorFlowRunner, image_axes, static_size


class KerasRunner(TensorFlowRunner):
    format = "keras"

    def __init__(self, path: Path, *, threads: int):
        import tensorflow as tf

        from zoo.models.keras_files import read_keras

        model = read_keras(path)
        self.size = static_size(model.input_shape, image_axes(model.input_shape, path))
        self._call = tf.function(lambda image: model(image, training=False), autograph=False)
