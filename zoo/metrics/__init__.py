"""Confusion matrices and the scores that follow from them: IoU, accuracy, boundary IoU."""

from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix, confusion_matrix

__all__ = ["ConfusionMatrix", "boundary_band", "confusion_matrix"]
