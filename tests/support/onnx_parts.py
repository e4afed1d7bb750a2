"""ONNX files of a million empty messages, which take two bytes each in the file and hundreds in memory."""


def _framed(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


EMPTY_PARTS = {"tensors": _framed(10, b""), "graphs": _framed(11, b""), "types": _framed(15, b"")}


def million_parts(kind: str, *, spread: int) -> bytes:
    """They lie in the attribute of a node, or of `spread` nodes."""
    attribute = _framed(5, EMPTY_PARTS[kind] * (1_000_000 // spread))
    return b"\x08\x08" + _framed(7, _framed(1, attribute) * spread + _framed(1, _framed(4, b"Relu")))
