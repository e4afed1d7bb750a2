"""From an image to a segmentation: several scales, mirrored images, and windows over large images."""

from zoo.inference.arguments import ImageLike
from zoo.inference.kept import forget_models
from zoo.inference.rasters import RasterSegmentation, segment_raster
from zoo.inference.ray_segmenter import RaySegmenter
from zoo.inference.segmentation import Segmentation, segment

__all__ = [
    "ImageLike",
    "RasterSegmentation",
    "RaySegmenter",
    "Segmentation",
    "forget_models",
    "segment",
    "segment_raster",
]
