"""From an image to a segmentation: several scales, mirrored images, and windows over large images."""

from zoo.inference.arguments import ImageLike
from zoo.inference.kept import forget_models
from zoo.inference.segmentation import Segmentation, segment

__all__ = ["ImageLike", "Segmentation", "forget_models", "segment"]
