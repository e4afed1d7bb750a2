"""From an image to a segmentation: several scales, mirrored images, and windows over large images."""

from zoo.inference.arguments import ImageLike
from zoo.inference.segmentation import Segmentation, segment

__all__ = ["ImageLike", "Segmentation", "segment"]
