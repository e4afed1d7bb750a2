"""SavedModel folders of anybody, timed in TensorFlow."""

from __future__ import annotations

from pathlib import Path

from zoo.export.core.runner import TensorFlowRunner, image_axes, static_size
from zoo.files import literal_path


class SavedModelRunner(TensorFlowRunner):
    format = "saved_model"

    def __init__(self, path: Path, *, threads: int):
        import tensorflow as tf

        with literal_path(path) as folder:
            self._loaded = tf.saved_model.load(folder)  # owns the variables
        signature = self._loaded.signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        self.size = static_size(tuple(spec.shape), image_axes(tuple(spec.shape), path))
        self._call = lambda image: signature(**{name: image})
