"""One loss of each kind, and labels and logits to try them on."""

import numpy as np

from zoo.training.losses import (
    Dice,
    LovaszSoftmax,
    OnlineHardExamples,
    SparseCrossEntropy,
    WeightedSum,
    WithAuxiliary,
)

CLASSES = 4
WEIGHTS = (0.5, 2.0, 1.0, 0.25)
EACH = [
    SparseCrossEntropy(),
    SparseCrossEntropy(class_weights=WEIGHTS, label_smoothing=0.1),
    OnlineHardExamples(keep_ratio=0.3, min_kept=3),
    OnlineHardExamples(threshold=0.4),
    Dice(),
    Dice(per_image=False),
    LovaszSoftmax(),
    LovaszSoftmax(per_image=False),
    WeightedSum([SparseCrossEntropy(), Dice()], [1.0, 0.5]),
    WithAuxiliary(SparseCrossEntropy()),
]
NAMES = [
    "cross_entropy",
    "weighted",
    "ohem_ratio",
    "ohem_threshold",
    "dice",
    "dice_batch",
    "lovasz",
    "lovasz_batch",
    "sum",
    "auxiliary",
]


def example(shape=(3, 5, 7), seed=0):
    """Logits, and labels of which some are ignored, some classes absent, and the last image all ignored."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES - 1, shape).astype(np.uint8)
    labels[0, 0, 0] = CLASSES - 1
    labels[rng.random(shape) < 0.25] = 255
    labels[-1] = 255
    return labels, rng.normal(0, 2, (*shape, CLASSES)).astype(np.float32)


def softmax(logits):
    exponents = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def pixels(labels, logits):
    """``(label, probabilities)`` of every counted pixel of one image."""
    pairs = zip(labels.ravel(), softmax(logits).reshape(-1, CLASSES), strict=True)
    return [(int(y), p) for y, p in pairs if y != 255]
