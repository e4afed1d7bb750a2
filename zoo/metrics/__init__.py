"""Confusion matrices and the scores that follow from them: IoU, accuracy, boundary IoU; and reliability."""

from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix, confusion_matrix
from zoo.metrics.reliability import Reliability

__all__ = ["ConfusionMatrix", "Reliability", "boundary_band", "confusion_matrix"]
