"""ONNX files from outside, for all that opens or inspects them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def parsed(content: bytes) -> onnx.ModelProto:
    """The message of a file's bytes, bounded as in the reader of weights; other files are not looked at.

    Raises:
        FormatError: No such message, truncated, or of too many parts.
    """
    from zoo.weights.readers.onnx_file import parse_model

    return parse_model(content)
