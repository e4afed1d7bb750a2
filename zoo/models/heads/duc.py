"""Dense upsampling convolution (Wang et al. 2018, section 3.1) behind summed dilated branches.

Each position of the dilated features predicts the classes of a whole square of pixels at once, a cell, which
is then laid out in space. A cell as large as the output stride gives full resolution without interpolation.
"""

from __future__ import annotations

import keras

from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers import DepthToSpace, DilatedConv2D
from zoo.layers.common import whole, wholes
from zoo.layers.resize import SegmentationLogits
from zoo.models.blocks import Norm, depthwise_bn_act
from zoo.models.conventions import Convention
from zoo.models.heads.classifier import CLASSIFIER, LOGITS

# The authors' four branches: multiples of 6 up to 24 at output stride 8.
BRANCH_RATES = (6, 12, 18, 24)


def dense_upsampling(
    x,
    image,
    *,
    label_set: LabelSet,
    convention: Convention,
    output_stride: int,
    cell: int,
    rates: tuple[int, ...] = BRANCH_RATES,
    separable: bool = False,
    name: str = "duc",
):
    """Parallel dilated classifiers, summed; their channels laid out as cells; logits at the image's size.

    Args:
        x: Features ``(batch, height, width, any)`` of the image padded to a multiple of `output_stride`.
        image: The image as it came, ``(batch, rows, columns, 3)``.
        label_set: Classes of the logits.
        convention: How the source of the weights enlarges the rest of the way, and its batch norm.
        output_stride: Pixels of the image for each position of `x`.
        cell: Side of the square that each position predicts; it divides `output_stride`. What it leaves is
            interpolated: 4 at stride 8 doubles bilinearly.
        rates: One branch for each rate.
        separable: Whether a branch is a depthwise 3×3 with batch norm and ReLU before a 1×1 classifier
            instead of a full 3×3 classifier, whose parameters grow with channels · classes · cell².
        name: Prefix of the layers' names; the classifiers are ``classifier.branch<0…>``.

    Returns:
        Float32 logits ``(batch, rows, columns, classes)``.

    Raises:
        InputError: A cell that does not divide the output stride, or rates that are no positive integers.
    """
    cell = whole(cell, "cell")
    if output_stride % cell:
        raise InputError(f"cell must divide the output stride {output_stride}, not {cell!r}")
    rates = wholes(rates, "branch rates", allowed="one or more positive integers")
    if not rates:
        raise InputError("branch rates must be one or more positive integers, not none")
    norm = Norm(convention.head_epsilon, convention.batch_norm)
    filters = len(label_set) * cell**2
    branches = []
    for index, rate in enumerate(rates):
        options = {"separable": separable, "norm": norm, "name": f"branch{index}", "prefix": name}
        branches.append(_branch(x, filters, rate=rate, **options))
    x = keras.layers.Add(name=f"{name}.sum")(branches) if len(branches) > 1 else branches[0]
    x = DepthToSpace(cell=cell, name=f"{name}.cells")(x)
    factor = output_stride // cell
    return SegmentationLogits(
        convention=convention.resize,
        label_set=label_set,
        # Without enlargement both domains are one, up to a constant at each pixel.
        domain=convention.resize_domain if factor > 1 else "logits",
        factor=factor,
        name=LOGITS,
    )([x, image])


def _branch(x, filters: int, *, rate: int, separable: bool, norm: Norm, name: str, prefix: str):
    """One classifier of the sum; small at first, so that a fresh one starts at nearly equal scores."""
    if separable:
        x = depthwise_bn_act(x, 3, rate=rate, norm=norm, name=f"{prefix}.{name}.depthwise")
    return DilatedConv2D(
        filters,
        kernel_size=1 if separable else 3,
        rate=1 if separable else rate,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        name=f"{CLASSIFIER}.{name}",
    )(x)
