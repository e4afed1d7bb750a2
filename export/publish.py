"""The exports themselves: write under a temporary name, run what was written, compare, publish."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np

from zoo.errors import InputError
from zoo.export.core.calibration import Source
from zoo.export.core.deployment import Deployment, prepare
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.report import ExportReport, describe, rewrites_of
from zoo.export.core.staging import check_target, report_path, staged, writing
from zoo.export.opening import open_artifact
from zoo.export.proof import quantized_parity
from zoo.export.proof.parity import Parity, compare, default_images, require
from zoo.export.proof.quantized_parity import QuantizedParity

Images = Iterable[np.ndarray] | None
Rewrites = Iterable[str] | None


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None = None,
    head: str = "logits",
    rewrites: Rewrites = None,
    images: Images = None,
) -> ExportReport:
    """Export to a SavedModel folder that TensorFlow runs without Keras and without the zoo.

    The signature ``serving_default`` takes ``image``, float32 RGB in 0…255 ``(batch, height, width, 3)`` with
    any batch, and gives ``logits`` ``(batch, height, width, classes)``. The signature ``serving_bytes`` takes
    ``image_bytes`` ``(batch,)``, the content of JPEG or PNG files, which it resizes to a static `input_size`;
    else those of one batch must be of one size. It does not turn images by their EXIF orientation.
    Normalization is part of the graph, dropout is not. The labels are the assets ``labels.txt`` and
    ``atrous_zoo.json``.

    The artifact is run and compared with the model before it appears under its name; after any failure
    nothing is left, and an older artifact stays as it was.

    Args:
        model: A zoo model.
        path: Folder to write; an existing SavedModel is replaced. The report stands at ``<path>.json``.
        input_size: (height, width) in pixels, or `None` for any size.
        head: ``"logits"`` at the size of the image, or ``"small_logits"`` at the network's stride, the input
            of the last resize. ``"mask"``: the output is called ``mask`` and holds the arg-max of the former,
            uint8 ``(batch, height, width)``, for at most 256 classes. ``"small_mask"``: the same cheaper, the
            class of the nearest cell of the network; the report tells how many pixels that changes.
        rewrites: Names of the exact rewrites before the export, see `zoo.export.deploy.REWRITES`; `None` for
            all, ``()`` for none. They need not apply; the report says which did, and what they saved.
        images: RGB images ``(height, width, 3)`` in 0…255 for the comparison; `None` for synthetic ones, in
            three sizes where any size is taken.

    Returns:
        The report, see `ExportReport`.

    Raises:
        InputError: A model, setting or path that cannot be used, or a failure to write.
        ParityError: The artifact's logits differ from the model's (see `zoo.export.Parity`).
    """
    from zoo.export.saved_model import writer as saved_model

    target = check_target(path, format="saved_model")
    deployment = prepare(model, input_size=input_size, head=head, rewrites=rewrites)
    return _publish(deployment, target, write=saved_model.write, images=images)


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None,
    head: str = "logits",
    rewrites: Rewrites = None,
    quantize: str | None = None,
    calibration: Source | None = None,
    max_drop: float | None = None,
    images: Images = None,
) -> ExportReport:
    """Export to a TFLite file with a static ``(1, height, width, 3)`` input and builtin operations.

    Input ``image``, output ``logits`` or ``mask``, also as the signature ``serving_default``; labels and
    origin are the JSON text in the metadata buffer ``atrous_zoo``, and TFLite Metadata for MediaPipe Tasks
    and Android. A dilated convolution is one operation, in quantized files too; or one for each tap where
    `zoo.export.deploy.far_taps` finds that this is less work.

    Other arguments, result and errors as in `to_saved_model`; `input_size` may be `None` only for a model
    that was built for one size. `path` must end in ``.tflite``.

    Args:
        model: A zoo model.
        path: File to write.
        input_size: (height, width) in pixels.
        head: As in `to_saved_model`.
        rewrites: As in `to_saved_model`.
        quantize: `None` for float32; ``"float16"`` weights; ``"dynamic"``: int8 weights, layers quantize
            what they are given while they run; or ``"int8"``: integers throughout, uint8 images and logits,
            a scale for each channel of the weights. A quantized file is held to other limits, see
            `zoo.export.proof.quantized_parity`.
        calibration: Images like those that the model will see, see
            `zoo.export.core.calibration.read_calibration`. Needed for int8; measured on for all kinds.
        max_drop: How much the share of calibration pixels with the float model's class may fall below 1, or,
            where `calibration` is a data set, how much mean IoU may fall. An int8 file that misses the bound
            gets layers in float, in the order of their measured error and as few as keep it.
        images: For the comparison; `None` for the calibration images, or synthetic ones without any.

    Raises:
        InputError: As in `to_saved_model`; too few images or none for int8, or settings that do not go
            together.
        FormatError: A calibration image that cannot be read.
        ParityError: The file misses its limits or `max_drop`.
    """
    from zoo.export.core.quantization import plan as plan_quantization
    from zoo.export.tflite import writer as tflite

    target = check_target(path, format="tflite")
    deployment = prepare(
        model,
        input_size=input_size,
        head=head,
        rewrites=rewrites,
        multiplies_padding=quantize is None,
    )
    settings = {"calibration": calibration, "max_drop": max_drop}
    plan = plan_quantization(quantize, deployment=deployment, **settings)
    return _publish_quantized(deployment, target, tflite.write, plan, images)


def to_onnx(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None = None,
    head: str = "logits",
    layout: str = "nhwc",
    opset: int = 18,
    rewrites: Rewrites = None,
    quantize: str | None = None,
    calibration: Source | None = None,
    max_drop: float | None = None,
    images: Images = None,
) -> ExportReport:
    """Export to an ONNX file in which a dilated convolution is one Conv with its ``dilations``.

    Input ``image``, output ``logits`` or ``mask``. A static size is declared with a batch of 1; else the axes
    are the symbols ``batch``, ``height`` and ``width``, which the two share (``rows`` and ``columns`` for the
    output of ``head="small_logits"``). Nodes are named after layers. The properties tell labels, colours,
    conventions of the input, origin and licence, see `zoo.export.onnx.properties`.

    Arguments, result and errors as in `to_saved_model`; `path` must end in ``.onnx``.

    Args:
        model: A zoo model.
        path: File to write.
        input_size: (height, width), or `None` for any size.
        head: As in `to_saved_model`.
        layout: Of the input and of logits: ``"nhwc"``, or ``"nchw"``, which spares two transpositions.
        opset: Version of the ONNX operators.
        rewrites: As in `to_saved_model`.
        quantize: `None` for float32, or ``"int8"``: 8-bit activations and weights with a scale for each
            channel, between QuantizeLinear and DequantizeLinear. Such a file has a static `input_size`; it
            takes uint8 images, and gives float32 logits, since the last resize is computed in float.
        calibration: As in `to_tflite`.
        max_drop: As in `to_tflite`.
        images: As in `to_tflite`.

    Raises:
        InputError: As in `to_tflite`.
        FormatError: As in `to_tflite`.
        ParityError: As in `to_tflite`.
    """
    from zoo.export.core.quantization import plan_onnx
    from zoo.export.onnx import writer as onnx

    target = check_target(path, format="onnx")
    onnx.check_opset(opset)
    deployment = prepare(model, input_size=input_size, head=head, layout=layout, rewrites=rewrites)
    settings = {"calibration": calibration, "max_drop": max_drop}
    plan = plan_onnx(quantize, deployment=deployment, **settings)
    return _publish_quantized(deployment, target, functools.partial(onnx.write, opset=opset), plan, images)


def _publish_quantized(
    deployment: Deployment, target: Path, write: Callable, plan: Plan | None, images: Images
) -> ExportReport:
    """Publish what `write` writes by the plan; without one, a float artifact."""
    if plan is None:
        return _publish(deployment, target, write=write, images=images)
    described = dataclasses.replace(deployment.metadata, quantization=plan.stored())
    deployment = dataclasses.replace(deployment, metadata=described)
    bound = None
    if images is None and plan.calibration is not None:
        # On other images the bound says nothing.
        images, bound = plan.calibration.images, plan.max_disagreement
    return _publish(deployment, target, write=functools.partial(write, plan=plan), images=images, bound=bound)


def _publish(
    deployment: Deployment,
    target: Path,
    *,
    write: Callable[[Deployment, Path], Quantization | None],
    images: Images,
    bound: float | None = None,
) -> ExportReport:
    """Write, prove, report, and only then move to `target`."""
    with staged(target) as work:
        quantization = write(deployment, work)
        artifact = open_artifact(work)
        images = default_images(artifact.input_size) if images is None else list(images)
        parity = _measure(artifact, deployment, images, bound=bound)
        require(parity, what=target.name, where=lambda: _place(artifact, deployment, images, parity, write))
        done = {"rewrites": deployment.rewrites, "quantization": quantization}
        if deployment.metadata.head == "small_mask":
            done["mask_agreement"] = compare(
                artifact.predict, deployment.mask, images, domain="mask"
            ).argmax_agreement
        report = describe(artifact, path=target, parity=parity, **done)
        with writing(report_path(target)):
            report_path(work).write_text(report.to_json(), encoding="utf-8")
    return report


def _place(artifact, deployment: Deployment, images, parity: Parity | QuantizedParity, write) -> str:
    """Where a file that fails its gate goes wrong, as far as it can be told."""
    from zoo.export.proof.first_difference import explain_export

    folder = artifact.path.parent / "parts"
    return explain_export(artifact, deployment, images[0], parity=parity, write=write, folder=folder)


def _measure(
    artifact, deployment: Deployment, images: Images, *, bound: float | None = None
) -> Parity | QuantizedParity:
    images = default_images(artifact.input_size) if images is None else list(images)
    if not images:
        raise InputError("the comparison needs at least one image")
    pair, domain = (artifact.predict, deployment.reference), deployment.domain
    quantization = artifact.metadata.quantization
    if quantization is None:
        return compare(*pair, images, domain=domain)
    settings = {"quantization": quantization["kind"], "max_drop": bound}
    return quantized_parity.compare(*pair, images, domain=domain, **settings)


def verify(path: str | os.PathLike, model: keras.Model, *, images: Images = None) -> Parity | QuantizedParity:
    """Compare an existing artifact with its Keras model again.

    Args:
        path: Of the artifact.
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
    artifact = open_artifact(path)
    return _measure(artifact, _deployment_of(artifact, model, rewrites=()), images)


def find_difference(path: str | os.PathLike, model: keras.Model, *, images: Images = None):
    """Where an existing artifact goes another way than a Keras model: which layer is the first that differs.

    Tensors of the file that are named after layers are compared with what Keras computes there, on the first
    image. The network is rewritten as for the export, by the report beside the artifact if there is one.

    Args:
        path: Of the artifact.
        model: The model.
        images: As for `verify`.

    Returns:
        A `zoo.export.proof.first_difference.FirstDifference`; of a quantized file a `NoisiestLayer` where
        the signal-to-noise ratio falls most; `None` where there is no difference or no layer can be told.

    Raises:
        InputError: As for `verify`.
        FormatError: As for `verify`.
        ParityError: As for `verify`.
    """
    from zoo.export.proof.first_difference import explain_artifact

    artifact = open_artifact(path)
    deployment = _deployment_of(artifact, model, rewrites=rewrites_of(artifact.path))
    images = default_images(artifact.input_size) if images is None else list(images)
    parity = _measure(artifact, deployment, images[:1])
    return explain_artifact(artifact, deployment, images[0], parity=parity)


def _deployment_of(artifact, model: keras.Model, *, rewrites: Rewrites) -> Deployment:
    size, head = artifact.input_size, artifact.metadata.head
    multiplies = artifact.format == "tflite" and artifact.metadata.quantization is None
    return prepare(model, input_size=size, head=head, rewrites=rewrites, multiplies_padding=multiplies)
