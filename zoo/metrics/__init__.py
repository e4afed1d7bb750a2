"""Scores of masks against true ones, from integers alone."""

from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix, confusion_matrix

__all__ = ["ConfusionMatrix", "boundary_band", "confusion_matrix"]
