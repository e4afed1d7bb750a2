"""The context module (Yu & Koltun 2016, section 3, table 1): dilated 3×3 layers on the classes' scores.

Seven 3×3 layers at rates 1, 1, 2, 4, 8, 16, 1 and a 1×1 layer see 67×67 cells without losing resolution. All
widths are multiples of the number of classes, so that every layer belongs to the classifier.
"""

from __future__ import annotations

import keras
import numpy as np

from zoo.errors import InputError
from zoo.layers import PACKAGE, DilatedConv2D
from zoo.layers.common import CHANNELS_LAST, whole, wholes
from zoo.models.blocks import activation
from zoo.models.heads.classifier import CLASSIFIER

RATES = (1, 1, 2, 4, 8, 16, 1)
# Widths of table 1 in multiples of the classes; the 1×1 layer has one channel per class in both.
LARGE_WIDTHS = (2, 2, 4, 8, 16, 32, 32)
MODULES = ("basic", "large")
FRONT = f"{CLASSIFIER}.front"
CONTEXT = f"{CLASSIFIER}.context"


@keras.saving.register_keras_serializable(PACKAGE)
class IdentityContext(keras.initializers.Initializer):
    """Kernels by which a layer first passes each class on as it is (section 3, equations 4 and 5).

    With C classes, a of cᵢ input channels and b of cᵢ₊₁ outputs, the centre tap is C / cᵢ₊₁ where
    ⌊a·C / cᵢ⌋ = ⌊b·C / cᵢ₊₁⌋, that is where a and b belong to one class. Everything else is normal noise that
    breaks the ties between channels of a class. A random start in its place does not train (section 3). A
    layer's output then sums, over the channels of a class, to what its input did; the ReLU between the layers
    passes scores above zero only.

    Args:
        classes: C; divides the channels on both sides.
        noise: Standard deviation of the noise in units of C / cᵢ₊₁, far below 1. At 0 and with C channels on
            both sides this is equation 4, the basic module's.
        seed: Of the noise.

    Raises:
        InputError: A negative noise, an even kernel, or channels that C does not divide.
    """

    def __init__(self, classes: int, noise: float = 0.0, seed: int | None = None):
        if not noise >= 0:
            raise InputError(f"takes noise from 0, not {noise!r}")
        self.classes = whole(classes, "the number of classes")
        self.noise = noise
        self.seed = seed

    def __call__(self, shape, dtype=None):
        rows, columns, inputs, outputs = shape
        if inputs % self.classes or outputs % self.classes or rows % 2 == 0 or columns % 2 == 0:
            raise InputError(
                f"a kernel of {tuple(shape)} is not odd, or its channels do not divide by {self.classes}"
            )
        share = self.classes / outputs
        class_in = np.arange(inputs) * self.classes // inputs
        class_out = np.arange(outputs) * self.classes // outputs
        same = np.zeros(shape, bool)
        same[rows // 2, columns // 2] = class_in[:, None] == class_out[None]
        noise = keras.initializers.RandomNormal(stddev=self.noise * share, seed=self.seed)(shape, dtype)
        return keras.ops.where(same, keras.ops.cast(share, noise.dtype), noise)

    def get_config(self):
        return {"classes": self.classes, "noise": self.noise, "seed": self.seed}


def front_scores(x, classes: int, *, kernel_initializer="glorot_uniform", shift: float = 0.0):
    """1×1 convolution from the front end's features to one score per class, the context module's input.

    Args:
        x: ``(batch, height, width, any)``.
        classes: Channels of the scores.
        kernel_initializer: Of a fresh kernel.
        shift: What a fresh bias starts from. Softmax does not see a constant, but the ReLUs of the module do:
            a class whose fresh scores are below zero everywhere would pass neither scores nor gradients. The
            authors train their front end before they add the module; a shift allows to train both at once.
    """
    return DilatedConv2D(
        classes,
        kernel_size=1,
        use_bias=True,
        kernel_initializer=kernel_initializer,
        bias_initializer=keras.initializers.Constant(shift),
        name=FRONT,
    )(x)


def context_module(
    x,
    *,
    classes: int,
    module: str = "basic",
    rates: tuple[int, ...] = RATES,
    pad_once: bool = False,
    noise: float = 0.01,
):
    """Build the module on a map of scores.

    Args:
        x: ``(batch, height, width, classes)``.
        classes: C.
        module: ``"basic"`` (C channels throughout) or ``"large"`` (2C to 32C).
        rates: Rates of the 3×3 layers.
        pad_once: Zeros are added once, ahead of the first layer, for the reach of all of them (33 cells), and
            no layer pads: responses beyond the map take part. Otherwise each layer pads its own input.
        noise: Of `IdentityContext`, in the large module; the basic one has no ties to break.

    Returns:
        ``(batch, height, width, classes)``; the last layer, which has no ReLU, is called ``classifier``.

    Raises:
        InputError: An unknown module, or impossible rates.
    """
    if module not in MODULES:
        raise InputError(f"module must be one of {', '.join(MODULES)}, not {module!r}")
    rates = wholes(rates, "rates")
    if not rates:
        raise InputError(f"rates must be positive integers, not {rates!r}")
    if module == "large" and len(rates) != len(LARGE_WIDTHS):
        raise InputError(f"the large module has {len(LARGE_WIDTHS)} rates, not {len(rates)}")
    widths = LARGE_WIDTHS if module == "large" else (1,) * len(rates)
    identity = IdentityContext(classes, noise if module == "large" else 0.0)
    if pad_once:
        x = keras.layers.ZeroPadding2D(sum(rates), CHANNELS_LAST, name=f"{CONTEXT}.pad")(x)
    for index, (rate, width) in enumerate(zip(rates, widths, strict=True), start=1):
        name = f"{CONTEXT}.layer{index}"
        x = DilatedConv2D(
            width * classes,
            kernel_size=3,
            rate=rate,
            padding="valid" if pad_once else "symmetric",
            use_bias=True,
            kernel_initializer=identity,
            name=f"{name}.conv",
        )(x)
        x = activation(x, "relu", name=name)
    return DilatedConv2D(classes, kernel_size=1, use_bias=True, kernel_initializer=identity, name=CLASSIFIER)(
        x
    )
