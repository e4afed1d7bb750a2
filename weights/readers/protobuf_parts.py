"""Counts the messages within a protocol buffer before the protobuf library makes an object of each.

An empty one takes two bytes in a file and some hundred and fifty in memory, however deep it lies.
"""

from __future__ import annotations

import functools

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from zoo.errors import FormatError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST = 10  # bytes of a varint


def check_parts(content: bytes, kind: Descriptor, *, most_in_one: int, most: int) -> None:
    """Refuse a message with too many messages within.

    What cannot be followed is left to the parser, which refuses it.

    Args:
        content: A serialized message.
        kind: Its description.
        most_in_one: Messages that are allowed directly within any one.
        most: The same at any depth.

    Raises:
        FormatError: In one line.
    """
    count, pending = 0, [(0, len(content), kind)]
    while pending:
        place, end, described = pending.pop()
        kinds, before = _messages_in(described), count
        while place < end:
            key, place = _varint(content, place, end)
            wire = key & 7
            if wire == _VARINT:
                _, place = _varint(content, place, end)
            elif wire == _BYTES:
                length, place = _varint(content, place, end)
                within = kinds.get(key >> 3)
                if within is not None:
                    count += 1
                    pending.append((place, min(place + length, end), within))
                place += length
            else:
                place += _FIXED.get(wire, 0)
            if count - before > most_in_one or count > most:
                allowed = f"{most_in_one:,} are allowed in one" if count <= most else f"{most:,} are allowed"
                raise FormatError(f"damaged: too many parts; {allowed}")


@functools.cache
def _messages_in(kind: Descriptor) -> dict[int, Descriptor]:
    """Descriptions of the fields that hold messages, by their numbers."""
    return {f.number: f.message_type for f in kind.fields if f.type == FieldDescriptor.TYPE_MESSAGE}


def _varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    """The number that begins at `place`, and the place after it."""
    value = shift = 0
    while place < end and shift < 7 * _LONGEST:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    return value, end
