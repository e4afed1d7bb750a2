"""Scores of a model on a data set, with the protocol that they were measured by."""

from zoo.evaluation.scoring import Evaluation, ImageScore, evaluate

__all__ = ["Evaluation", "ImageScore", "evaluate"]
