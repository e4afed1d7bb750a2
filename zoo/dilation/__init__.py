"""Analysis of dilated convolutions: the HDC rule, receptive fields, coverage and holes.

Plain numbers need neither TensorFlow nor matplotlib; `analyse`, `plot` and `plot_model` import what
they need when they are called.
"""

from zoo.dilation.coverage import Layer, coverage, covers, holes, reached, receptive_field
from zoo.dilation.model import ModelCoverage, analyse, dilation_input
from zoo.dilation.plot import check_path, plot, plot_model
from zoo.dilation.plot_sequence import plot_sequence
from zoo.dilation.rules import Report, check, suggest
from zoo.dilation.sequence import SequenceReport, check_sequence, sequence_coverage

__all__ = [
    "Layer",
    "ModelCoverage",
    "Report",
    "SequenceReport",
    "analyse",
    "check",
    "check_path",
    "check_sequence",
    "coverage",
    "covers",
    "dilation_input",
    "holes",
    "plot",
    "plot_model",
    "plot_sequence",
    "reached",
    "receptive_field",
    "sequence_coverage",
    "suggest",
]
