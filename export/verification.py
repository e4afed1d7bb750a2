"""Compares an artifact that exists with its model again."""

from __future__ import annotations

import os

import keras

from zoo.export import formats
from zoo.export.core.deployment import Deployment, prepare
from zoo.export.core.kinds import KINDS
from zoo.export.opening import Artifact, open_artifact
from zoo.export.proof.first_difference import explain_artifact
from zoo.export.proof.layer_search import FirstDifference
from zoo.export.proof.noisiest_layer import NoisiestLayer
from zoo.export.proof.parity import Parity, default_images
from zoo.export.proof.quantized_parity import QuantizedParity
from zoo.export.publish import Images, Rewrites, measure
from zoo.export.report import rewrites_of


def verify(
    path: str | os.PathLike | Artifact, model: keras.Model, *, images: Images = None
) -> Parity | QuantizedParity:
    """Compare an existing artifact with its Keras model again.

    Args:
        path: Of the artifact; or the opened artifact, such as one that another engine runs.
        model: The model that it was exported from.
        images: RGB images ``(height, width, 3)`` in 0…255, of the artifact's size where that is static;
            `None` for synthetic ones.

    Returns:
        The numbers; ``.passed`` says whether the gates hold.

    Raises:
        InputError: No such artifact, an image of another size, or not a zoo model.
        FormatError: A damaged artifact.
        ParityError: Logits of another shape, so that there is nothing to compare.
    """
    artifact = path if isinstance(path, Artifact) else open_artifact(path)
    return measure(artifact, _deployment_of(artifact, model, rewrites=()), images)


def find_difference(
    path: str | os.PathLike, model: keras.Model, *, images: Images = None
) -> FirstDifference | NoisiestLayer | None:
    """Where an existing artifact goes another way than a Keras model: which layer is the first that differs.

    Tensors of the file that are named after layers are compared with what Keras computes there, on the first
    image. The network is rewritten as for the export, by the report beside the artifact if there is one.

    Args:
        path: Of the artifact.
        model: The model.
        images: As for `verify`.

    Returns:
        A `zoo.export.FirstDifference`; of a quantized file a `NoisiestLayer` where
        the signal-to-noise ratio falls most; `None` where there is no difference or no layer can be told.

    Raises:
        InputError: As for `verify`.
        FormatError: As for `verify`.
        ParityError: As for `verify`.
    """
    artifact = open_artifact(path)
    deployment = _deployment_of(artifact, model, rewrites=rewrites_of(artifact.path))
    images = default_images(artifact.input_size) if images is None else list(images)
    parity = measure(artifact, deployment, images[:1])
    return explain_artifact(artifact, deployment, images[0], parity=parity)


def _deployment_of(artifact: Artifact, model: keras.Model, *, rewrites: Rewrites) -> Deployment:
    size, head = artifact.input_size, artifact.metadata.head
    row = formats.find(artifact.format, part="artifact")
    multiplies = row.multiplies_padding and artifact.metadata.quantization is None
    quantization = artifact.metadata.quantization
    return prepare(
        model,
        input_size=size,
        head=head,
        rewrites=rewrites,
        multiplies_padding=multiplies,
        keep_tables=quantization is not None and KINDS[quantization["kind"]].keeps_values,
    )
