"""SavedModel: variables, two signatures and the labels as assets; no Keras object in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

from zoo.export.core.deployment import Deployment, serving_function
from zoo.export.core.metadata import (
    BYTES_NAME,
    BYTES_SIGNATURE,
    KEY,
    LABEL_FILE,
    SIGNATURE,
    Metadata,
    label_lines,
)
from zoo.export.core.staging import writing


def write(deployment: Deployment, path: Path) -> None:
    """Write the SavedModel folder `path`; its dilated depthwise convolutions run on every device."""
    metadata = deployment.metadata
    serve, spec = serving_function(deployment, depthwise="phases")
    if metadata.input_size is not None:
        # TensorFlow has no use for a static batch.
        spec = tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, name=spec.name)
    concrete = serve.get_concrete_function(spec)
    signatures = {SIGNATURE: concrete, BYTES_SIGNATURE: _bytes_function(serve, metadata.input_size)}
    module = tf.Module(name=metadata.model)
    # Only what the graph reads: neither optimizer state nor the seeds of dropout.
    module.model_variables = list(concrete.graph.variables)
    with writing(path, tf.errors.OpError), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        module.metadata, module.labels = _assets(metadata, Path(folder))
        tf.saved_model.save(module, str(path), signatures=signatures)


def _assets(metadata: Metadata, folder: Path) -> list[tf.saved_model.Asset]:
    """Files in a passing `folder`, which the SavedModel copies under their names."""
    texts = {f"{KEY}.json": metadata.to_json(), LABEL_FILE: label_lines(metadata.label_set)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [tf.saved_model.Asset(str(folder / name)) for name in texts]


def _decode(content: tf.Tensor) -> tf.Tensor:
    """Float32 RGB in 0…255 of a JPEG or PNG file, transparent pixels on white, as `zoo.segment` reads it."""

    def from_jpeg():
        # TensorFlow's default is a faster transform, off by a few levels.
        return tf.cast(tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)

    def from_png():
        image = tf.cast(tf.io.decode_png(content, channels=4), tf.float32)
        return tf.round(255 + (image[..., :3] - 255) * (image[..., 3:] / 255))

    image = tf.cond(tf.io.is_jpeg(content), from_jpeg, from_png)
    image.set_shape((None, None, 3))
    return image


def _bytes_function(serve, size: tuple[int, int] | None):
    """From encoded images to what `serve` gives for their pixels, resized to `size` as `zoo.segment` does."""

    def decode(content):
        image = _decode(content)
        return image if size is None else tf.image.resize(image, size, antialias=True)

    spec = tf.TensorSpec([None], tf.string, name=BYTES_NAME)

    @tf.function(autograph=False, input_signature=[spec])
    def serve_bytes(image_bytes):
        pixels = tf.TensorSpec((*(size or (None, None)), 3), tf.float32)
        return serve(tf.map_fn(decode, image_bytes, fn_output_signature=pixels))

    return serve_bytes.get_concrete_function()
