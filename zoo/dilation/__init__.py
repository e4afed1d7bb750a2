"""Analysis of dilated convolutions: the HDC rule, receptive fields, coverage and holes.

Plain numbers need neither TensorFlow nor matplotlib; `analyse`, `plot` and `plot_model` import what
they need when they are called.
"""

from zoo.dilation.coverage import Layer, coverage, covers, holes, reached, receptive_field
from zoo.dilation.model import ModelCoverage, analyse, dilation_input
from zoo.dilation.plot import check_path, plot, plot_model
from zoo.dilation.rules import Report, check, suggest

__all__ = [
    "Layer",
    "ModelCoverage",
    "Report",
    "analyse",
    "check",
    "check_path",
    "coverage",
    "covers",
    "dilation_input",
    "holes",
    "plot",
    "plot_model",
    "reached",
    "receptive_field",
    "suggest",
]
