"""Sums of losses: of one output, and of the logits and an auxiliary head."""

from __future__ import annotations

import math

import keras

from zoo.errors import InputError
from zoo.layers import PACKAGE
from zoo.models.heads.classifier import AUXILIARY, LOGITS


@keras.saving.register_keras_serializable(PACKAGE)
class WeightedSum(keras.losses.Loss):
    """Several losses of the same output, such as cross-entropy plus half of Dice.

    Args:
        losses: Keras losses.
        weights: One finite number a loss.
        name: Of the loss.
        reduction: Only Keras' default, for `from_config`.

    Raises:
        InputError: No losses, or not as many weights.
    """

    def __init__(
        self, losses, weights, *, name: str | None = "weighted_sum", reduction="sum_over_batch_size"
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.losses = [keras.losses.deserialize(x) if isinstance(x, dict) else x for x in losses]
        self.weights = [float(weight) for weight in weights]
        if not self.losses or len(self.losses) != len(self.weights):
            raise InputError(f"{len(self.losses)} losses and {len(self.weights)} weights: one for each")

    def __call__(self, y_true, y_pred, sample_weight=None):
        terms = zip(self.losses, self.weights, strict=True)
        return sum(weight * loss(y_true, y_pred, sample_weight) for loss, weight in terms)

    def get_config(self) -> dict:
        losses = [keras.losses.serialize(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights}


@keras.saving.register_keras_serializable(PACKAGE)
class WithAuxiliary(keras.losses.Loss):
    """The loss of the logits plus a share of that of the auxiliary head, against the same mask.

    For a model that returns ``{"logits", "auxiliary"}``, called in a training loop of one's own. `fit` takes
    dictionaries instead: targets ``{"logits": mask, "auxiliary": mask}`` with the same keys in `compile`'s
    ``loss`` and ``loss_weights``. A model with one output has the loss of that output.

    Args:
        loss: A Keras loss.
        weight: Of the auxiliary head (0.4, Zhao et al. 2017, section 3.3).
        name: Of the loss.
        reduction: Only Keras' default, for `from_config`.
    """

    def __init__(
        self, loss, *, weight: float = 0.4, name: str | None = None, reduction="sum_over_batch_size"
    ):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.loss = keras.losses.deserialize(loss) if isinstance(loss, dict) else loss
        if not isinstance(weight, int | float) or not (math.isfinite(weight) and weight >= 0):
            raise InputError(
                f"the weight of the auxiliary loss must be a number of at least 0, not {weight!r}"
            )
        self.weight = float(weight)

    def __call__(self, y_true, y_pred, sample_weight=None):
        if not isinstance(y_pred, dict):
            return self.loss(y_true, y_pred, sample_weight)
        if set(y_pred) != {LOGITS, AUXILIARY}:
            raise InputError(f"outputs must be {LOGITS!r} and {AUXILIARY!r}, not {sorted(y_pred)}")
        main, second = (self.loss(y_true, y_pred[key], sample_weight) for key in (LOGITS, AUXILIARY))
        return main + self.weight * second

    def get_config(self) -> dict:
        return {**super().get_config(), "loss": keras.losses.serialize(self.loss), "weight": self.weight}
