"""Photographs and masks as files, and pictures of masks; by Pillow, without TensorFlow."""

from zoo.images.classes import class_shares
from zoo.images.pixels import to_rgb
from zoo.images.read import SUFFIXES, find_images, read_image, read_mask
from zoo.images.rendering import overlay, palette_image
from zoo.images.write import write_png

__all__ = [
    "SUFFIXES",
    "class_shares",
    "find_images",
    "overlay",
    "palette_image",
    "read_image",
    "read_mask",
    "to_rgb",
    "write_png",
]
