"""Make `vainf_<model>.npz` with the networks of VainF/DeepLabV3Plus-Pytorch, stated once more in PyTorch.

Run where torch and torchvision are installed (made with torch 2.14 and torchvision 0.29):

    python make_vainf.py

The original is a repository, not a package, so this states its networks independently of the zoo, with the
names of its state dictionaries: torchvision's own ResNet, a MobileNetV2 in two halves whose blocks pad their
input ahead of the expansion and whose first convolution does not pad, the heads of DeepLabV3 and DeepLabV3+,
whole or with separable convolutions without bias and norm in between. All resizing is by half-pixel centres.

Parameters and what is kept: `layouts.py`.
"""

import torch
import torchvision
from layouts import goldens_of, save
from torch import nn
from torch.nn import functional

CLASSES = 21
# Expansion, channels, blocks, stride (Sandler et al. 2018, table 2).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
RESNET = {"c2": "backbone.layer1", "c5": "backbone.layer4"}
MOBILE = {"c2": "backbone.low_level_features.3", "c5": "backbone.high_level_features.17"}
PLUS = {"aspp": "classifier.aspp", "decoder": "classifier.classifier.2"}
PLAIN = {"aspp": "classifier.classifier.0", "head": "classifier.classifier.3"}
# File → whether with the decoder, backbone, whether separable, output stride, and a wide image with its step.
NETWORKS = {
    "deeplabv3_plus_resnet50": (True, "resnet50", False, 16, None),
    "deeplabv3_plus_mobilenet_v2": (True, "mobilenet_v2", True, 16, ((209, 601), 16)),
    "deeplabv3_aspp_resnet50": (False, "resnet50", False, 8, None),
    "deeplabv3_aspp_mobilenet_v2": (False, "mobilenet_v2", False, 16, ((209, 601), 16)),
}


def resize(x, like):
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def unit(inputs, outputs, kernel=1, rate=1, separable=False):
    return nn.Sequential(conv(inputs, outputs, kernel, rate, separable), nn.BatchNorm2d(outputs), nn.ReLU())


def conv(inputs, outputs, kernel, rate, separable):
    options = {"padding": rate * (kernel // 2), "dilation": rate, "bias": False}
    if kernel == 1 or not separable:
        return nn.Conv2d(inputs, outputs, kernel, **options)
    module = nn.Module()
    depthwise = nn.Conv2d(inputs, inputs, kernel, groups=inputs, **options)
    module.body = nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1, bias=False))
    module.forward = module.body.forward
    return module


class Pooled(nn.Sequential):
    def forward(self, x):
        return resize(super().forward(x), x)


class Aspp(nn.Module):
    def __init__(self, inputs, rates, separable):
        super().__init__()
        branches = [unit(inputs, 256, 3, rate, separable) for rate in rates]
        pool = Pooled(nn.AdaptiveAvgPool2d(1), *unit(inputs, 256))
        self.convs = nn.ModuleList([unit(inputs, 256), *branches, pool])
        self.project = unit(5 * 256, 256)

    def forward(self, x):
        return self.project(torch.cat([branch(x) for branch in self.convs], 1))


class Plain(nn.Module):
    def __init__(self, inputs, _, rates, separable):
        super().__init__()
        head = unit(256, 256, 3, 1, separable)
        self.classifier = nn.Sequential(Aspp(inputs, rates, separable), *head, nn.Conv2d(256, CLASSES, 1))

    def forward(self, low, high):
        return self.classifier(high)


class Plus(nn.Module):
    def __init__(self, inputs, low_inputs, rates, separable):
        super().__init__()
        self.project = unit(low_inputs, 48)
        self.aspp = Aspp(inputs, rates, separable)
        self.classifier = nn.Sequential(*unit(304, 256, 3, 1, separable), nn.Conv2d(256, CLASSES, 1))

    def forward(self, low, high):
        low = self.project(low)
        return self.classifier(torch.cat([low, resize(self.aspp(high), low)], 1))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, rate, expansion):
        super().__init__()
        width, self.rate = inputs * expansion, rate
        self.adds = stride == 1 and inputs == outputs
        depthwise = nn.Conv2d(width, width, 3, stride, 0, dilation=rate, groups=width, bias=False)
        expand = [] if expansion == 1 else [six(nn.Conv2d(inputs, width, 1, bias=False), width)]
        project = [nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*expand, six(depthwise, width), *project)

    def forward(self, x):
        result = self.conv(functional.pad(x, (self.rate,) * 4))
        return x + result if self.adds else result


def six(convolution, channels):
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU6())


class Mobile(nn.Module):
    def __init__(self, output_stride):
        super().__init__()
        layers, inputs, stride, rate = [six(nn.Conv2d(3, 32, 3, 2, 0, bias=False), 32)], 32, 2, 1
        for expansion, outputs, count, nominal in STAGES:
            before, own = rate, nominal
            if stride == output_stride:
                own, rate = 1, rate * nominal
            stride *= own
            for index in range(count):
                first = index == 0
                here = (own, before) if first else (1, rate)
                layers.append(Block(inputs, outputs, *here, expansion))
                inputs = outputs
        features = nn.Sequential(*layers)
        self.low_level_features, self.high_level_features = features[:4], features[4:]

    def forward(self, x):
        low = self.low_level_features(x)
        return low, self.high_level_features(low)


class Residual(nn.Module):
    def __init__(self, output_stride):
        super().__init__()
        dilate = [False, output_stride == 8, True]
        net = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=dilate)
        for name, child in net.named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, child)

    def forward(self, x):
        low = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return low, self.layer4(self.layer3(self.layer2(low)))


class Network(nn.Module):
    def __init__(self, has_decoder, backbone, separable, output_stride):
        super().__init__()
        rates = (12, 24, 36) if output_stride == 8 else (6, 12, 18)
        is_mobile = backbone == "mobilenet_v2"
        self.backbone = (Mobile if is_mobile else Residual)(output_stride)
        widths = (320, 24) if is_mobile else (2048, 256)
        self.classifier = (Plus if has_decoder else Plain)(*widths, rates, separable)

    def forward(self, image):
        return resize(self.classifier(*self.backbone(image)), image)


def main():
    for name, (has_decoder, backbone, separable, stride, wide) in NETWORKS.items():
        model = Network(has_decoder, backbone, separable, stride)
        depths = {**(MOBILE if backbone == "mobilenet_v2" else RESNET), **(PLUS if has_decoder else PLAIN)}
        save(f"vainf_{name}", goldens_of(model, model.classifier.classifier[-1], depths, wide))


if __name__ == "__main__":
    main()
