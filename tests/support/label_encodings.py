"""Masks as annotation tools pack them."""

import base64
import io
import zlib

import numpy as np
from PIL import Image


def png(array, **options):
    stream = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def runs(mask, order):
    flat = mask.ravel(order).astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


def brush(mask):
    """As Label Studio packs one: blocks of one repeated byte each."""
    words = np.repeat(mask.astype(np.uint8).ravel() * 255, 4)
    bits = f"{len(words):032b}" + f"{7:05b}" + "".join(f"{size:04b}" for size in (2, 3, 7, 15))
    edges = np.flatnonzero(np.diff(words.astype(int))) + 1
    for part in np.split(words, edges):
        bits += f"1{3:02b}{len(part) - 1:016b}{part[0]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def sly_bitmap(mask):
    """As Supervisely packs one: a PNG with a transparent first colour, zlib, base64."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    image = Image.fromarray(part)
    image.putpalette([0, 0, 0, 255, 255, 255])
    data = base64.b64encode(zlib.compress(png(image, transparency=0, bits=1))).decode()
    return {"data": data, "origin": [int(columns[0]), int(rows[0])]}
