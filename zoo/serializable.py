"""Registers every layer, initializer, loss and schedule of the zoo with Keras.

`zoo.load` does this by itself. A process that reads a saved model with `keras.models.load_model` instead
imports this module first, because ``import zoo`` alone is light and imports no Keras.
"""

import zoo.compression.layers
import zoo.heads.context
import zoo.layers
import zoo.preprocessing
import zoo.resize
import zoo.training.losses
import zoo.training.schedule  # noqa: F401 (imported for what it registers)
