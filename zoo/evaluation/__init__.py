"""Scores of a model or an exported file on a data set, with the protocol of their measurement."""

from zoo.evaluation.scoring import Evaluation, ImageScore, evaluate

__all__ = ["Evaluation", "ImageScore", "evaluate"]
