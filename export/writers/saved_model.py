"""SavedModel: variables, one signature and the labels as an asset; no Keras object in it."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from zoo.export.deployment import Deployment, serving_function
from zoo.export.metadata import KEY, SIGNATURE
from zoo.export.staging import writing


def write(deployment: Deployment, path: Path) -> None:
    """Write the SavedModel folder `path`; its dilated depthwise convolutions run on every device."""
    serve, spec = serving_function(deployment, depthwise="phases")
    if deployment.metadata.input_size is not None:
        # TensorFlow has no use for a static batch.
        spec = tf.TensorSpec([None, *spec.shape[1:]], spec.dtype, name=spec.name)
    concrete = serve.get_concrete_function(spec)
    module = tf.Module(name=deployment.metadata.model)
    # Only what the graph reads: neither optimizer state nor the seeds of dropout.
    module.model_variables = list(concrete.graph.variables)
    with writing(path, tf.errors.OpError):
        # The asset is copied from beside the artifact's temporary place, under its file name.
        asset = path.with_name(f"{KEY}.json")
        asset.write_text(deployment.metadata.to_json(), encoding="utf-8")
        module.metadata = tf.saved_model.Asset(str(asset))
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: concrete})
