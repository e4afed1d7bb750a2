"""Registers the zoo's layers, initializers, losses and schedules with Keras.

`zoo.load` does this by itself. A process that reads a saved model with `keras.models.load_model` instead
imports this module first, because ``import zoo`` alone is light and imports no Keras.
"""

import zoo.layers
import zoo.models.heads.context
import zoo.models.segmentation_model
import zoo.sequence.bytenet
import zoo.sequence.bytenet_tokens
import zoo.sequence.nam.network
import zoo.sequence.wavenet
import zoo.training.losses
import zoo.training.schedule  # noqa: F401 (imported for what it registers)
