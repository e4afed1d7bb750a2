"""Receptive fields of the models against values derived from the tables of the papers, by hand arithmetic.

A field grows by (kernel − 1) · rate · jump with each layer, the jump being the stride so far (Araujo et al.
2019). Only layers with kernels above 1×1 count. No number here comes from a builder.
"""

import pytest

import zoo
from zoo.dilation import analyse


def field(layers):
    """Field of a stack of (kernel, stride, rate), first layer first."""
    size, jump = 1, 1
    for kernel, stride, rate in layers:
        size += (kernel - 1) * rate * jump
        jump *= stride
    return size


def resnet(blocks, last_rates, *, third_stride=2, third_rates=None):
    """He et al. 2016, table 1, with the stride on the 3×3: the 7×7, the pooling, one 3×3 a block."""
    layers = [(7, 2, 1), (3, 2, 1)] + [(3, 1, 1)] * blocks[0]
    layers += [(3, 2, 1)] + [(3, 1, 1)] * (blocks[1] - 1)
    third_rates = third_rates or [1] * blocks[2]
    layers += [(3, third_stride if i == 0 else 1, rate) for i, rate in enumerate(third_rates)]
    return layers + [(3, 1, rate) for rate in last_rates]


# Sandler et al. 2018, table 2: (blocks, stride) of the stages; the strides behind 16 are refused.
MOBILE = [(3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1)]
MOBILE += [(3, 1, 1)] * 3 + [(3, 1, 1)] * 3
# The last stages at stride 16: the first block of 160 channels keeps rate 1, the others have 2.
MOBILE_16 = [*MOBILE, (3, 1, 1), (3, 1, 2), (3, 1, 2), (3, 1, 2)]

LARGEST_ASPP = [(3, 1, 18)]  # section 3.3, output stride 16
MULTI_GRID = [2, 4, 8]  # section 3.2.1: 2 · (1, 2, 4)
PSP_FUSION = [(3, 1, 1)]  # the 3×3 convolution behind the pyramid

DERIVED = {
    "deeplabv3_aspp_mobilenet_v2": field(MOBILE_16 + LARGEST_ASPP),
    "deeplabv3_aspp_resnet50": field(resnet((3, 4, 6, 3), MULTI_GRID) + LARGEST_ASPP),
    "deeplabv3_aspp_resnet101": field(resnet((3, 4, 23, 3), MULTI_GRID) + LARGEST_ASPP),
    # Of the encoder: what its decoder reads at stride 4 lies within.
    "deeplabv3_plus_mobilenet_v2": field(MOBILE_16 + LARGEST_ASPP),
    "deeplabv3_plus_resnet50": field(resnet((3, 4, 6, 3), [1, 2, 2]) + LARGEST_ASPP),
    "lraspp_mobilenet_v2": field(MOBILE_16),
    "pspnet_resnet50": field(
        resnet((3, 4, 6, 3), [2, 4, 4], third_stride=1, third_rates=[1] + [2] * 5) + PSP_FUSION
    ),
    "pspnet_resnet101": field(
        resnet((3, 4, 23, 3), [2, 4, 4], third_stride=1, third_rates=[1] + [2] * 22) + PSP_FUSION
    ),
}


@pytest.mark.parametrize("name", DERIVED)
def test_receptive_field(name):
    assert analyse(zoo.load(name, weights=None)).receptive_field == (DERIVED[name],) * 2


def test_the_arithmetic_gives_known_values():
    """ResNet-50 and VGG16 up to conv5_3, as tabulated by Araujo et al. 2019.

    Their ResNet has its strides on the first 1×1 (v1), in front of the 3×3, which makes the jump of that 3×3
    the larger one and the field 483; on the 3×3 (v1.5) it is 427.
    """
    late = [(3, 2, 1), (3, 1, 1), (3, 1, 1)]
    v15 = resnet((3, 4, 6, 3), []) + late
    v1 = [part for layer in v15[2:] for part in ([(1, 2, 1), (3, 1, 1)] if layer[1] == 2 else [layer])]
    assert field(v15) == 427
    assert field(v15[:2] + v1) == 483
    vgg = ([(3, 1, 1)] * 2 + [(2, 2, 1)]) * 2 + ([(3, 1, 1)] * 3 + [(2, 2, 1)]) * 2 + [(3, 1, 1)] * 3
    assert field(vgg) == 196
