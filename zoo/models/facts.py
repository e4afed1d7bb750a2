"""Size, cost and reach of every named model without weights; a test holds each against the built model."""

from __future__ import annotations

from typing import NamedTuple


class Facts(NamedTuple):
    """What a model costs and sees.

    Attributes:
        parameters: Count of all variables.
        multiply_adds: Of the convolutions, for one image of 513×513.
        output_stride: Pixels of the image for one cell of the last map of features, ahead of a decoder.
        receptive_field: Side in pixels of what one cell of that map sees through convolutions; image
            pooling, which sees everything, does not count.
    """

    parameters: int
    multiply_adds: int
    output_stride: int
    receptive_field: int


# Of the image for which multiply-adds are counted.
MEASURED = (513, 513, 3)


def measure(model) -> Facts:
    """The facts of a model that was built for images of `MEASURED`; imports TensorFlow."""
    from zoo.dilation import analyse
    from zoo.dilation.complexity import multiply_adds

    found = analyse(model)
    stride, field = found.output_stride[0], found.receptive_field[0]
    return Facts(model.count_params(), multiply_adds(model), stride, field)


FACTS = {
    "deeplabv3_aspp_mobilenet_v2": Facts(4_558_165, 5_363_508_928, 16, 1067),
    "deeplabv3_aspp_mobilenet_v3_large": Facts(10_462_613, 9_789_096_200, 16, 1171),
    "deeplabv3_aspp_resnet50": Facts(39_104_725, 50_435_832_256, 16, 1291),
    "deeplabv3_aspp_resnet101": Facts(58_149_077, 71_061_387_712, 16, 1835),
    "deeplabv3_aspp_resnet152": Facts(73_838_805, 91_540_994_496, 16, 2315),
    "deeplabv3_plus_mobilenet_v2": Facts(1_996_933, 2_879_106_928, 16, 1067),
    "deeplabv3_plus_mobilenet_v3_large": Facts(3_379_781, 2_506_001_720, 16, 1171),
    "deeplabv3_plus_resnet50": Facts(26_766_853, 39_550_874_992, 16, 1003),
    "deeplabv3_plus_resnet101": Facts(45_811_205, 60_176_430_448, 16, 1547),
    "deeplabv3_plus_resnet152": Facts(61_500_933, 80_656_037_232, 16, 2027),
    "lraspp_mobilenet_v2": Facts(1_929_098, 2_561_666_784, 16, 491),
    "lraspp_mobilenet_v3_large": Facts(3_246_194, 2_081_283_536, 16, 595),
    "pspnet_mobilenet_v2": Facts(4_908_885, 20_409_906_112, 8, 507),
    "pspnet_mobilenet_v3_large": Facts(12_781_973, 43_715_952_648, 8, 611),
    "pspnet_resnet50": Facts(46_650_837, 182_572_060_352, 8, 443),
    "pspnet_resnet101": Facts(65_695_189, 262_593_154_752, 8, 987),
    "pspnet_resnet152": Facts(81_384_917, 328_492_879_552, 8, 1467),
    "duc_hdc_mobilenet_v2": Facts(3_585_600, 15_228_995_600, 8, 1371),
    "duc_hdc_mobilenet_v3_large": Facts(8_212_608, 28_234_917_600, 8, 1811),
    "duc_hdc_resnet50": Facts(122_781_120, 528_292_477_952, 8, 1319),
    "duc_hdc_resnet101": Facts(141_825_472, 608_313_572_352, 8, 2487),
    "duc_hdc_resnet152": Facts(157_515_200, 674_213_297_152, 8, 3511),
    "context_aggregation_mobilenet_v2": Facts(1_878_397, 8_050_805_312, 8, 1019),
    "context_aggregation_mobilenet_v3_large": Facts(3_044_925, 6_483_331_848, 8, 1123),
    "context_aggregation_resnet50": Facts(23_632_573, 103_030_954_752, 8, 955),
    "context_aggregation_resnet101": Facts(42_676_925, 183_052_049_152, 8, 1499),
    "context_aggregation_resnet152": Facts(58_366_653, 248_951_773_952, 8, 1979),
    "context_aggregation_vgg16": Facts(141_149_720, 802_925_144_910, 8, 908),
}
