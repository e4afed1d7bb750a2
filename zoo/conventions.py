"""Numerical choices in which the sources of published weights differ, named by source.

Two implementations of one architecture agree only if all of these do. They are settings of the weights,
chosen by the catalog, never guessed from the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import InputError
from zoo.preprocessing import TF_DEEPLAB as TF_DEEPLAB_INPUT
from zoo.preprocessing import TORCHVISION as TORCHVISION_INPUT
from zoo.preprocessing import Normalization


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How one source of weights computes.

    Attributes:
        name: Key in `CONVENTIONS`.
        normalization: What happens to the image before the first convolution.
        padding: Of convolutions with a stride: ``"symmetric"`` or TensorFlow's ``"same"``.
        resize: ``"half_pixel"`` or ``"align_corners"``.
        batch_norm: Whether batch normalization exists, or was folded into the convolutions.
        epsilon: Batch normalization's, in the backbone.
        head_epsilon: Batch normalization's, in the head.
        channel_divisor: Widths are rounded to a multiple of this (1: not rounded).
        pool_first: Whether image pooling is the first branch that ASPP concatenates, or the last.
        stride_on_3x3: Where a ResNet bottleneck has its stride: on the 3×3 (v1.5) or the first 1×1 (v1).
        late_dilation: Whether the first block of a dilated stage keeps the rate before it.
    """

    name: str
    normalization: Normalization
    padding: str
    resize: str
    batch_norm: bool
    epsilon: float
    head_epsilon: float
    channel_divisor: int
    pool_first: bool
    stride_on_3x3: bool = True
    late_dilation: bool = True


TORCHVISION = Convention(
    name="torchvision",
    normalization=TORCHVISION_INPUT,
    padding="symmetric",
    resize="half_pixel",
    batch_norm=True,
    epsilon=1e-5,
    head_epsilon=1e-5,
    channel_divisor=8,
    pool_first=False,
)
TF_DEEPLAB = Convention(
    name="tf_deeplab",
    normalization=TF_DEEPLAB_INPUT,
    padding="same",
    resize="align_corners",
    batch_norm=True,
    epsilon=1e-3,
    head_epsilon=1e-5,
    # Width 0.5 has layers of 12 channels, so nothing rounds to 8 (unlike keras.applications).
    channel_divisor=1,
    pool_first=True,
)
TF_DEEPLAB_FOLDED = Convention(**{**TF_DEEPLAB.__dict__, "name": "tf_deeplab_folded", "batch_norm": False})

CONVENTIONS = {c.name: c for c in (TORCHVISION, TF_DEEPLAB, TF_DEEPLAB_FOLDED)}


def resolve(convention: str | Convention) -> Convention:
    """The convention of that name; `InputError` lists the known ones otherwise."""
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise InputError(f"unknown convention {convention!r}; known: {known}")
    return CONVENTIONS[convention]
