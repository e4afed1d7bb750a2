"""Masks as lengths of runs: COCO's, plain and as text; CVAT's; and Label Studio's bit stream.

A run is checked against the picture before any pixel is written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import FormatError

_MOST_TEXT = 64 << 20


def coco_mask(counts: object, height: int, width: int) -> np.ndarray:
    """The mask of COCO's run lengths, which go down the columns and begin with a run of zeros.

    Args:
        counts: Numbers, or the text of `rleToString` in pycocotools.
        height: Of the picture.
        width: Of the picture.

    Raises:
        FormatError: Runs that do not fill the picture exactly, or are no numbers.
    """
    runs = _from_text(counts) if isinstance(counts, str) else _numbers(counts)
    return _filled(runs, height * width).reshape(width, height).T


def row_mask(counts: object, height: int, width: int) -> np.ndarray:
    """The mask of run lengths along the rows that begin with a run of zeros, as CVAT writes them."""
    return _filled(_numbers(counts), height * width).reshape(height, width)


def _numbers(counts: object) -> np.ndarray:
    plain = isinstance(counts, list) and all(type(count) is int and 0 <= count < 1 << 40 for count in counts)
    if not plain:
        raise FormatError("run lengths are whole numbers of 0 or more")
    return np.array(counts, np.int64)


def _from_text(text: str) -> np.ndarray:
    """Numbers of six bits per character, the lowest five first; from the fourth on each is a difference."""
    codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    if len(codes) > _MOST_TEXT or ((codes < 0) | (codes > 63)).any() or (codes.size and codes[-1] & 32):
        raise FormatError("the text of run lengths is damaged")
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
    if ends.size and (ends - starts).max() > 8:
        raise FormatError("the text of run lengths is damaged")
    numbers = np.zeros(len(ends), np.int64)
    if ends.size:
        place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
        numbers = np.add.reduceat((codes & 31) << 5 * place, starts)
        numbers -= np.where(codes[ends] & 16, 1 << 5 * (ends - starts + 1), 0)
    for parity in (
        1,
        2,
    ):  # the first number is whole, the second and third begin the two chains of differences
        numbers[parity::2] = np.cumsum(numbers[parity::2])
    return numbers


def _filled(runs: np.ndarray, pixels: int) -> np.ndarray:
    if (runs < 0).any() or (runs > pixels).any() or int(runs.sum()) != pixels:
        raise FormatError(f"runs of {int(runs.sum()):,} pixels in a mask of {pixels:,}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs)


def label_studio_mask(data: Sequence[int], height: int, width: int) -> np.ndarray:
    """The opaque pixels of Label Studio's brush, a stream of bits that holds four bytes per pixel.

    The stream (``rle-pack`` of thi.ng/umbrella) begins with the number of words (32 bits), the size of a word
    less one (5) and four sizes of lengths less one (4 each). Blocks follow: a bit that says whether one word
    is repeated, the number of a size (2), the length less one in that size, and the word or words.

    Raises:
        FormatError: A damaged stream, or one of another size than the picture.
    """
    words = height * width * 4
    if not isinstance(data, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in data):
        raise FormatError("a brush is a list of bytes")
    bits = np.unpackbits(np.array(data, np.uint8))
    if len(bits) < 53:
        raise FormatError("a brush that ends in its head")
    stated, word = _number(bits, 0, 32), _number(bits, 32, 5) + 1
    if word != 8 or stated != words:
        raise FormatError(
            f"a brush of {stated:,} words of {word} bits, where {width}x{height} pixels have {words:,}"
        )
    sizes = [_number(bits, 37 + 4 * index, 4) + 1 for index in range(4)]
    found, at, done = np.empty(words, np.uint8), 53, 0
    while done < words:
        size = sizes[_number(bits, at + 1, 2)] if at + 3 <= len(bits) else 0
        length = _number(bits, at + 3, size) + 1
        repeated = at < len(bits) and bits[at]
        at += 3 + size
        used = 8 if repeated else 8 * length
        if not size or at + used > len(bits) or done + length > words:
            raise FormatError("a brush that ends within a block")
        found[done : done + length] = np.packbits(bits[at : at + used])
        at, done = at + used, done + length
    return found.reshape(height, width, 4)[..., 3] > 0


def _number(bits: np.ndarray, start: int, count: int) -> int:
    value = 0
    for bit in bits[start : start + count].tolist():
        value = value << 1 | bit
    return value
