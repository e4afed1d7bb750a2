"""What every method begins with and returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras

from zoo.compression.selection import SparsityReport
from zoo.errors import InputError
from zoo.graph import is_functional
from zoo.layers.resize import label_set_of
from zoo.models.surgery import without_auxiliary
from zoo.training.engine import History


@dataclass(frozen=True)
class Compressed:
    """A compressed model, and how it came about.

    Attributes:
        model: A Keras 3 model of its own; the one that was given stays as it was.
        history: Of the fine-tuning.
        sparsity: Zeros and numbers of different values in every kernel.
        float_layers: For a quantized model, the layers that compute in float, each with the reason.
    """

    model: keras.Model
    history: History = field(repr=False)
    sparsity: SparsityReport = field(repr=False)
    float_layers: dict[str, str] = field(default_factory=dict)


def copied(model: keras.Model) -> keras.Model:
    """A copy of a zoo model with weights of its own and one output.

    Raises:
        InputError: Not a functional zoo model.
    """
    if not isinstance(model, keras.Model) or not is_functional(model):
        raise InputError(f"compression takes a functional zoo model, not {model!r}")
    label_set_of(model)
    plain = without_auxiliary(model)
    copy = keras.models.clone_model(plain)
    copy.set_weights(plain.get_weights())
    return copy
