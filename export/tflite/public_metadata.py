"""TFLite Metadata: the public self-description (schema 1.5, "M001") that MediaPipe Tasks and Android read.

The schema is ``metadata_schema.fbs`` of TFLite Support and of MediaPipe. It is small and frozen, since fields
are only ever added at the end of a table, so that the few tables needed here are written by their slots.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import flatbuffers
import numpy as np

from zoo.export.core.metadata import INPUT_NAME, LABEL_FILE, Metadata, label_lines
from zoo.export.core.origin import catalog_entry

# Name of the metadata entry, and the identifier of its flatbuffer.
KEY = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
# What MediaPipe's ImageSegmenter reads beyond the common schema: `image_segmenter_metadata_schema.fbs`.
_SEGMENTER_KEY = "SEGMENTER_METADATA"
_SEGMENTER_IDENTIFIER = b"V001"
_SOFTMAX = 2
# The version of the schema that brought custom metadata.
_MIN_PARSER_VERSION = "1.5.0"

COLORMAP_FILE = "colormap.txt"
# AssociatedFileType, ColorSpaceType, ContentProperties and ProcessUnitOptions of the schema.
_DESCRIPTIONS, _TENSOR_AXIS_LABELS = 1, 2
_RGB, _GRAYSCALE = 1, 2
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_NORMALIZATION_OPTIONS = 1

# Of every file in the archive, so that the same model gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_ALIGNMENT = 16


@dataclass(frozen=True)
class _Scalar:
    """A number in a table, with the builder's name of its type."""

    type: str
    value: int


class _Table(dict):
    """Values of a table by slot: text, bytes, a `_Scalar`, a `_Table`, or a list of floats or tables."""


def _vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _pack(builder: flatbuffers.Builder, value) -> int:
    """Write a value that a table refers to; its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        builder.Prep(_ALIGNMENT, len(value))  # a flatbuffer of its own, which the schema wants aligned
        return builder.CreateByteVector(value)
    if isinstance(value, _Table):
        return _pack_table(builder, value)
    if all(isinstance(item, float) for item in value):
        return builder.CreateNumpyVector(np.asarray(value, np.float32))
    return _vector(builder, [_pack(builder, item) for item in value])


def _pack_table(builder: flatbuffers.Builder, table: _Table) -> int:
    # What a table refers to must be complete before the table begins.
    ready = {k: v if isinstance(v, _Scalar) else _pack(builder, v) for k, v in table.items() if v is not None}
    builder.StartObject(max(table) + 1)
    for slot, value in ready.items():
        if isinstance(value, _Scalar):
            getattr(builder, f"Prepend{value.type}Slot")(slot, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


def _finish(table: _Table, identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(_pack_table(builder, table), identifier)
    return bytes(builder.Output())


# --- the tables, by the slots of the schema ------------------------------------------------------------


def _file(name: str, description: str, type: int) -> _Table:
    return _Table({0: name, 1: description, 2: _Scalar("Int8", type)})


def _image_content(color_space: int, size: tuple[int, int]) -> _Table:
    height, width = size
    shape = _Table({0: _Scalar("Uint32", width), 1: _Scalar("Uint32", height)})
    properties = _Table({0: _Scalar("Int8", color_space), 1: shape})
    return _Table({0: _Scalar("Uint8", _IMAGE_PROPERTIES), 1: properties})


# A tensor that is said to be nothing more special.
_FEATURES = _Table({0: _Scalar("Uint8", _FEATURE_PROPERTIES), 1: _Table({0: None})})


def _input(metadata: Metadata) -> _Table:
    normalization = _Table({0: [0.0], 1: [1.0]})
    unit = _Table({0: _Scalar("Uint8", _NORMALIZATION_OPTIONS), 1: normalization})
    # MediaPipe's ImageSegmenter takes every output for scores, and a mask for a single one. It refuses an
    # input that is not said to be an image; better than that it shows class 0 everywhere.
    mask = metadata.gives_mask
    content = _FEATURES if mask else _image_content(_RGB, metadata.input_size)
    units = None if mask else [unit]
    return _Table(
        {
            0: INPUT_NAME,
            1: "RGB image, values 0 to 255; the network's own normalization is part of its graph.",
            3: content,
            4: units,
            5: _Table({0: [255.0], 1: [0.0]}),  # largest and smallest value
        }
    )


def _output(metadata: Metadata, size: tuple[int, int]) -> _Table:
    classes = len(metadata.label_set)
    text = (
        f"Class of each pixel, from 0 to {classes - 1}."
        if metadata.gives_mask
        else f"Logits of {classes} classes; the class of a pixel is the arg-max."
    )
    return _Table(
        {
            0: metadata.output_name,
            1: text,
            3: _image_content(_GRAYSCALE, size),
            6: [
                _file(LABEL_FILE, "Names of the classes, one a line.", _TENSOR_AXIS_LABELS),
                _file(COLORMAP_FILE, "Colours of the classes: red green blue in 0 to 255.", _DESCRIPTIONS),
            ],
        }
    )


def _segmenter_options() -> _Table:
    """The outputs are logits: confidences need a softmax."""
    options = _Table({0: _Scalar("Int8", _SOFTMAX), 1: "1.0.0"})
    return _Table({0: _SEGMENTER_KEY, 1: _finish(options, _SEGMENTER_IDENTIFIER)})


def licence_of(metadata: Metadata) -> str | None:
    """Licence of the catalog's weights that an artifact holds; `None` for weights of another origin."""
    entry = catalog_entry(metadata)
    return entry and entry.licence


def describe(metadata: Metadata, *, output_size: tuple[int, int], licence: str | None) -> bytes:
    """The flatbuffer for the metadata entry `KEY`.

    Args:
        metadata: Of the artifact; its size is static.
        output_size: (height, width) of the output.
        licence: Of the weights, where it is known.
    """
    names = ", ".join(metadata.label_set.names)
    options = None if metadata.gives_mask else [_segmenter_options()]
    subgraph = _Table({0: "main", 2: [_input(metadata)], 3: [_output(metadata, output_size)], 9: options})
    model = _Table(
        {
            0: metadata.model,
            1: f"Semantic segmentation into {len(metadata.label_set)} classes: {names}.",
            3: [subgraph],
            4: metadata.producer,
            5: licence,
            7: _MIN_PARSER_VERSION,
        }
    )
    return _finish(model, _IDENTIFIER)


def attach_files(content: bytes, metadata: Metadata) -> bytes:
    """`content` followed by an uncompressed zip archive of the associated files.

    A TFLite file is read from its start and a zip archive from its end, so that the result is both.
    """
    labels = metadata.label_set
    texts = {
        LABEL_FILE: label_lines(labels),
        COLORMAP_FILE: "".join(f"{red} {green} {blue}\n" for red, green, blue in labels.palette),
    }
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), text.encode())
    return stream.getvalue()
