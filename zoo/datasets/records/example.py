"""What a record holds: ``tf.train.Example`` with an image, its mask and their names.

The features are named as in the records of DeepLab (``image/encoded``,
``image/segmentation/class/encoded``), so that other readers know them. The messages are stated here, since
TensorFlow's own cannot be had without all of TensorFlow.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from zoo.errors import FormatError

IMAGE, MASK = "image/encoded", "image/segmentation/class/encoded"
NAME, MASK_NAME = "image/filename", "image/segmentation/class/filename"


@dataclass(frozen=True)
class Sample:
    """One image and its mask as files.

    Attributes:
        name: Of the image, with up to two folders above it.
        image: The bytes of its file.
        mask_name: Of the mask, likewise.
        mask: The bytes of a PNG file of labels.
    """

    name: str
    image: bytes
    mask_name: str
    mask: bytes


@functools.cache
def _example() -> type:
    """The class of ``tensorflow.Example`` with features of bytes; features of numbers are passed over."""
    file = descriptor_pb2.FileDescriptorProto(name="zoo_example.proto", package="zoo", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(holder, name: str, *fields: tuple[str, int, int, int, str]):
        made = holder.add(name=name)
        for field, number, label, kind, of in fields:
            made.field.add(name=field, number=number, label=label, type=kind, type_name=of or None)
        return made

    one, many, text = kinds.LABEL_OPTIONAL, kinds.LABEL_REPEATED, kinds.TYPE_STRING
    holds, raw = kinds.TYPE_MESSAGE, kinds.TYPE_BYTES
    message(file.message_type, "BytesList", ("value", 1, many, raw, ""))
    message(file.message_type, "Feature", ("bytes_list", 1, one, holds, ".zoo.BytesList"))
    entry = ".zoo.Features.FeatureEntry"
    features = message(file.message_type, "Features", ("feature", 1, many, holds, entry))
    pair = (("key", 1, one, text, ""), ("value", 2, one, holds, ".zoo.Feature"))
    message(features.nested_type, "FeatureEntry", *pair).options.map_entry = True
    message(file.message_type, "Example", ("features", 1, one, holds, ".zoo.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("zoo.Example"))


def encoded(sample: Sample) -> bytes:
    """A sample as a record; equal samples give equal bytes."""
    example = _example()()
    values = {
        NAME: sample.name.encode("utf-8", "surrogateescape"),
        IMAGE: sample.image,
        MASK_NAME: sample.mask_name.encode("utf-8", "surrogateescape"),
        MASK: sample.mask,
    }
    for name, value in values.items():
        example.features.feature[name].bytes_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def decoded(record: bytes) -> Sample:
    """The sample in a record.

    Raises:
        FormatError: No ``tf.train.Example``, or one without an image or a mask.
    """
    example = _example()()
    try:
        example.ParseFromString(record)
    except DecodeError:
        raise FormatError("the record holds no tf.train.Example") from None
    found = {name: list(feature.bytes_list.value) for name, feature in example.features.feature.items()}
    for name in (IMAGE, MASK):
        if len(found.get(name, ())) != 1:
            raise FormatError(f"the record has no feature {name}")
    names = [(found.get(name) or [b""])[0].decode("utf-8", "surrogateescape") for name in (NAME, MASK_NAME)]
    return Sample(names[0], found[IMAGE][0], names[1], found[MASK][0])
