"""SavedModel: variables, one or two signatures and the labels as assets; no Keras object in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from zoo.errors import InputError
from zoo.export.core.deployment import Deployment, serving_function, variables_of
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
from zoo.export.saved_model.decoding import decode as decode_file


def check_serving_bytes(serving_bytes: bool = True) -> bool:
    """`serving_bytes` itself; an `InputError` when it is neither true nor false."""
    if not isinstance(serving_bytes, bool):
        raise InputError(f"serving_bytes must be True or False, not {serving_bytes!r}")
    return serving_bytes


def write(deployment: Deployment, path: Path, *, serving_bytes: bool = True) -> None:
    """Write the SavedModel folder `path`; its dilated depthwise convolutions run on every device.

    `serving_bytes` is whether it has that signature, whose decoding of files converters to other formats
    stumble over.
    """
    metadata = deployment.metadata
    serve, spec = serving_function(deployment, depthwise="phases")
    if metadata.input_size is not None:
        # TensorFlow has no use for a static batch.
        spec = tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, name=spec.name)
    concrete = serve.get_concrete_function(spec)
    signatures = {SIGNATURE: concrete}
    if serving_bytes:
        signatures[BYTES_SIGNATURE] = _bytes_function(serve, metadata.input_size)
    module = tf.Module(name=metadata.model)
    # Only what the graph reads: neither optimizer state nor the seeds of dropout.
    module.model_variables = variables_of(concrete)
    with writing(path, tf.errors.OpError), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        module.metadata, module.labels = _assets(metadata, Path(folder))
        tf.saved_model.save(module, str(path), signatures=signatures)
        _forget_the_moment(path / "fingerprint.pb")


def _forget_the_moment(path: Path) -> None:
    """Clear the random number of each writing, so that the same model gives the same bytes."""
    fingerprint = fingerprint_pb2.FingerprintDef()
    fingerprint.ParseFromString(path.read_bytes())
    fingerprint.ClearField("uuid")
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _assets(metadata: Metadata, folder: Path) -> list[tf.saved_model.Asset]:
    """Files in a passing `folder`, which the SavedModel copies under their names."""
    texts = {f"{KEY}.json": metadata.to_json(), LABEL_FILE: label_lines(metadata.label_set)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [tf.saved_model.Asset(str(folder / name)) for name in texts]


def _bytes_function(serve, size: tuple[int, int] | None):
    """From encoded images to what `serve` gives for their pixels, resized to `size` as `zoo.segment` does."""

    def decode(content):
        image = decode_file(content)
        return image if size is None else tf.image.resize(image, size, antialias=True)

    spec = tf.TensorSpec([None], tf.string, name=BYTES_NAME)

    @tf.function(autograph=False, input_signature=[spec])
    def serve_bytes(image_bytes):
        pixels = tf.TensorSpec((*(size or (None, None)), 3), tf.float32)
        return serve(tf.map_fn(decode, image_bytes, fn_output_signature=pixels))

    return serve_bytes.get_concrete_function()
