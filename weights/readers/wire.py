"""Protocol buffers field by field, without a description of the message and without a copy of it."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.errors import FormatError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_LONGEST = 10  # bytes of a number of 64 bits


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """An unsigned number of up to 64 bits, and the place behind it.

    Raises:
        FormatError: It ends beyond the data, or is longer than that.
    """
    value = 0
    for shift, byte in enumerate(data[place : place + _LONGEST]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + shift + 1
    raise FormatError("damaged: a number has no end")


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message: an integer, or the bytes of what is no varint.

    Raises:
        FormatError: A field that ends beyond the message, or of a kind that is long out of use.
    """
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            length, place = varint(data, place)
        elif kind in _WIDTHS:
            length = _WIDTHS[kind]
        else:
            raise FormatError(f"damaged: a field of kind {kind}")
        if length > len(data) - place:
            raise FormatError("truncated or damaged: a field ends beyond its message")
        yield number, data[place : place + length]
        place += length


def signed(value: int | memoryview) -> int:
    """A varint as the signed number that an int64 field means by it."""
    if not isinstance(value, int):
        raise FormatError("damaged: a number is stored as bytes")
    return value - (1 << 64) if value >> 63 else value


def content(value: int | memoryview) -> memoryview:
    """The bytes of a field that must have some."""
    if isinstance(value, int):
        raise FormatError("damaged: bytes are stored as a number")
    return value


def text(value: int | memoryview) -> str:
    """The same as text."""
    try:
        return bytes(content(value)).decode()
    except UnicodeDecodeError as error:
        raise FormatError("damaged: a name is no text") from error
