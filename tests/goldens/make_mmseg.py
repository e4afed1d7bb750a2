"""Make `mmseg_<model>.npz` with networks of mmsegmentation, stated once more in PyTorch.

Run where torch is installed (made with torch 2.14):

    python make_mmseg.py

mmsegmentation needs compiled operations that do not install beside a recent torch, so this states its
networks independently of the zoo, with the names of its state dictionaries: ResNetV1c at output stride 8
(``strides=(1, 2, 1, 1)``, ``dilations=(1, 1, 2, 4)``, ``contract_dilation=True``, by which the first block of
a stage has half its dilation), the ASPP head with the image pooling ahead and a 3×3 bottleneck, the separable
one with the decoder, and the PSP head, each with ``channels=512``, beside the auxiliary FCN head. Parameters
and what is kept: `layouts.py`.
"""

import torch
from layouts import goldens_of, save
from torch import nn
from torch.nn import functional

CLASSES, CHANNELS = 21, 512
DEPTHS = {"c2": "backbone.layer1", "c5": "backbone.layer4", "fused": "decode_head.bottleneck"}
WIDE = ((105, 305), 8)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU, called ``conv`` and ``bn``."""

    def __init__(self, inputs, outputs, kernel=1, rate=1, groups=1):
        super().__init__()
        options = {"padding": rate * (kernel // 2), "dilation": rate, "groups": groups, "bias": False}
        self.conv = nn.Conv2d(inputs, outputs, kernel, **options)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return functional.relu(self.bn(self.conv(x)))


class SeparableUnit(nn.Module):
    def __init__(self, inputs, outputs, rate=1):
        super().__init__()
        self.depthwise_conv = Unit(inputs, inputs, 3, rate, groups=inputs)
        self.pointwise_conv = Unit(inputs, outputs)

    def forward(self, x):
        return self.pointwise_conv(self.depthwise_conv(x))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride, rate):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, rate, dilation=rate, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + (self.downsample(x) if self.downsample else x))


class ResNetV1c(nn.Module):
    def __init__(self, depths=(3, 4, 6, 3), strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)):
        super().__init__()
        layers = []
        for inputs, outputs, stride in ((3, 32, 2), (32, 32, 1), (32, 64, 1)):
            layers.append(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        inputs = 64
        for stage, (count, stride, rate) in enumerate(zip(depths, strides, dilations, strict=True)):
            blocks, width = [], 64 * 2**stage
            for index in range(count):
                first = max(1, rate // 2) if index == 0 else rate
                blocks.append(Bottleneck(inputs, width, stride if index == 0 else 1, first))
                inputs = 4 * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        x = functional.max_pool2d(self.stem(x), 3, 2, 1)
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


class Head(nn.Module):
    """What decode heads have in common."""

    def __init__(self, align_corners):
        super().__init__()
        self.conv_seg = nn.Conv2d(CHANNELS, CLASSES, 1)
        self.align_corners = align_corners

    def resize(self, x, like):
        options = {"mode": "bilinear", "align_corners": self.align_corners}
        return functional.interpolate(x, size=like.shape[2:], **options)


class Aspp(Head):
    def __init__(self, align_corners, rates=(12, 24, 36), branch=lambda rate: Unit(2048, CHANNELS, 3, rate)):
        super().__init__(align_corners)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), Unit(2048, CHANNELS))
        self.aspp_modules = nn.ModuleList([Unit(2048, CHANNELS), *map(branch, rates)])
        self.bottleneck = Unit(5 * CHANNELS, CHANNELS, 3)

    def features(self, x):
        pooled = self.resize(self.image_pool(x), x)
        return self.bottleneck(torch.cat([pooled, *(branch(x) for branch in self.aspp_modules)], 1))

    def forward(self, features):
        return self.conv_seg(self.features(features[-1]))


class SeparableAspp(Aspp):
    def __init__(self, align_corners):
        super().__init__(align_corners, branch=lambda rate: SeparableUnit(2048, CHANNELS, rate))
        self.c1_bottleneck = Unit(256, 48)
        self.sep_bottleneck = nn.Sequential(
            SeparableUnit(CHANNELS + 48, CHANNELS), SeparableUnit(CHANNELS, CHANNELS)
        )

    def forward(self, features):
        low = self.c1_bottleneck(features[0])
        high = self.resize(self.features(features[-1]), low)
        return self.conv_seg(self.sep_bottleneck(torch.cat([high, low], 1)))


class Psp(Head):
    def __init__(self, align_corners):
        super().__init__(align_corners)
        levels = [nn.Sequential(nn.AdaptiveAvgPool2d(bins), Unit(2048, CHANNELS)) for bins in (1, 2, 3, 6)]
        self.psp_modules = nn.ModuleList(levels)
        self.bottleneck = Unit(2048 + 4 * CHANNELS, CHANNELS, 3)

    def forward(self, features):
        x = features[-1]
        levels = [self.resize(level(x), x) for level in self.psp_modules]
        return self.conv_seg(self.bottleneck(torch.cat([x, *levels], 1)))


class Fcn(nn.Module):
    """The auxiliary head, on the third stage."""

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(Unit(1024, 256, 3))
        self.conv_seg = nn.Conv2d(256, CLASSES, 1)

    def forward(self, features):
        return self.conv_seg(self.convs(features[2]))


class Network(nn.Module):
    def __init__(self, head, align_corners=False):
        super().__init__()
        self.backbone = ResNetV1c()
        self.decode_head = head(align_corners)
        self.auxiliary_head = Fcn()

    def forward(self, image):
        features, resize = self.backbone(image), self.decode_head.resize
        return resize(self.decode_head(features), image), resize(self.auxiliary_head(features), image)


# File → head, whether it aligns the corners, and whether there is a wide image.
NETWORKS = {
    "deeplabv3_aspp_resnet50": (Aspp, False, WIDE),
    "deeplabv3_plus_resnet50": (SeparableAspp, False, None),
    "pspnet_resnet50": (Psp, False, None),
    "pspnet_resnet50_align_corners": (Psp, True, None),
}


def main():
    for name, (head, align_corners, wide) in NETWORKS.items():
        model = Network(head, align_corners)
        save(f"mmseg_{name}", goldens_of(model, model.decode_head.conv_seg, DEPTHS, wide))


if __name__ == "__main__":
    main()
