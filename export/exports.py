"""The exports by name of their format."""

from __future__ import annotations

import os

import keras

from zoo.export.core.calibration import Source
from zoo.export.general import to_format
from zoo.export.publish import Images, Rewrites
from zoo.export.report import ExportReport


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None = None,
    head: str = "logits",
    serving_bytes: bool = True,
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
            uint8 ``(batch, height, width)``, or uint16 of more than 256 classes. ``"small_mask"``: cheaper,
            the class of the nearest cell of the network; the report tells how many pixels that changes.
        serving_bytes: Whether there is the signature of that name. Without it, the folder converts as a whole
            with ``TFLiteConverter``, tf2onnx, Core ML Tools and TensorFlow.js, none of which decodes files.
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
    settings = {"input_size": input_size, "head": head, "rewrites": rewrites, "images": images}
    return to_format("saved_model", model, path, **settings, options={"serving_bytes": serving_bytes})


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
            what they are given while they run; ``"int8"``: integers throughout, uint8 images and logits, a
            scale for each channel of the weights; or ``"int16x8"``: 16-bit activations, 8-bit weights and
            float32 images and logits, for accelerators. A quantized file is held to other limits, see
            `zoo.export.core.kinds`.
        calibration: Images like those that the model will see, see
            `zoo.export.core.calibration.read_calibration`. Needed for int8 and int16x8; measured on for all
            kinds.
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
    settings = {"input_size": input_size, "head": head, "rewrites": rewrites, "images": images}
    quantization = {"quantize": quantize, "calibration": calibration, "max_drop": max_drop}
    return to_format("tflite", model, path, **settings, **quantization)


def to_onnx(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None = None,
    head: str = "logits",
    layout: str = "nhwc",
    opset: int | None = None,
    symmetric: bool = False,
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
        opset: Version of the ONNX operators; `None` for 18, and 21 with 16-bit activations, which no older
            one has.
        symmetric: Of a quantized file: signed integers and zero points of 0 throughout, as TensorRT asks for
            in 8 bits.
        rewrites: As in `to_saved_model`.
        quantize: `None` for float32, or ``"int8"``: 8-bit activations and weights with a scale for each
            channel, between QuantizeLinear and DequantizeLinear. Such a file has a static `input_size`; it
            takes uint8 images, and gives float32 logits, since the last resize is computed in float.
            ``"int16x8"``: the same with 16-bit activations and float32 images, for accelerators; ONNX
            Runtime computes it on a processor in float32, rounded to 16 bits after each operation.
        calibration: As in `to_tflite`.
        max_drop: As in `to_tflite`.
        images: As in `to_tflite`.

    Raises:
        InputError: As in `to_tflite`.
        FormatError: As in `to_tflite`.
        ParityError: As in `to_tflite`.
    """
    settings = {"input_size": input_size, "head": head, "rewrites": rewrites, "images": images}
    quantization = {"quantize": quantize, "calibration": calibration, "max_drop": max_drop}
    more = {"layout": layout, "options": {"opset": opset, "symmetric": symmetric}}
    return to_format("onnx", model, path, **settings, **quantization, **more)


def to_coreml(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None,
    head: str = "logits",
    rewrites: Rewrites = None,
    quantize: str | None = None,
    palette_bits: int | None = None,
    calibration: Source | None = None,
    max_drop: float | None = None,
    images: Images = None,
) -> ExportReport:
    """Export to a Core ML package with an ML program of static size, for iOS 16, macOS 13 and later.

    Input ``image``: an RGB picture of that size (a pixel buffer; normalization is part of the program).
    Output ``logits`` ``(1, classes, height, width)`` float32, or ``mask`` ``(1, height, width)`` int32.
    Labels, licence and the properties by which Xcode previews a segmentation are inside. Needs
    ``pip install "atrous-zoo[coreml]"``.

    Apple's runtime runs on Apple systems only. The package is read back and interpreted by
    `zoo.export.coreml.interpreter`, with results rounded to the types that the program states; the report
    says so.

    Other arguments, result and errors as in `to_tflite`; `path` must end in ``.mlpackage``.

    Args:
        model: A zoo model.
        path: Folder to write.
        input_size: (height, width) in pixels.
        head: As in `to_saved_model`.
        rewrites: As in `to_saved_model`.
        quantize: `None` for float32, which the Neural Engine does not compute; ``"float16"`` weights and
            arithmetic; the same with ``"weights8"``: 8-bit weights with a scale per filter; or with
            ``"palette"``: a table of at most 2^`palette_bits` values per kernel. A kernel that has no more
            different values, as `zoo.compression.cluster` makes them, keeps its own, and its normalization is
            not folded into it.
        palette_bits: 1, 2, 4, 6 or 8; `None` for 8. Each kernel takes the narrowest index that holds its
            table.
        calibration: Images that the file is measured on; none are needed.
        max_drop: As in `to_tflite`; no layer is left out.
        images: As in `to_tflite`.

    Raises:
        InputError: As in `to_tflite`.
        FormatError: As in `to_tflite`.
        ParityError: As in `to_tflite`.
    """
    settings = {"input_size": input_size, "head": head, "rewrites": rewrites, "images": images}
    quantization = {"quantize": quantize, "calibration": calibration, "max_drop": max_drop}
    options = {} if palette_bits is None else {"palette_bits": palette_bits}
    return to_format("coreml", model, path, **settings, **quantization, options=options)
