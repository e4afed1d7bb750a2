"""The last layers of every model: one channel a class, at the size of the image."""

from __future__ import annotations

from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D
from zoo.resize import SegmentationLogits

# The only layers whose shape depends on the number of classes.
CLASSIFIER = "classifier"
LOGITS = "logits"


def classify(x, image, *, label_set: LabelSet, convention: str):
    """1×1 convolution with bias to one channel a class, then resize to the size of `image`."""
    x = DilatedConv2D(
        len(label_set),
        kernel_size=1,
        use_bias=True,
        # Small, so that a fresh classifier starts at equal scores whatever the features' scale.
        kernel_initializer="glorot_uniform",
        name=CLASSIFIER,
    )(x)
    return SegmentationLogits(convention=convention, label_set=label_set, name=LOGITS)([x, image])
