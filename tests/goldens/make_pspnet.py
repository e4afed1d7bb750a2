"""Make `pspnet_<convention>.npz` with a PSPNet in PyTorch, and parameters drawn from their names.

Run where torch and torchvision are installed (made with torch 2.14 and torchvision 0.29):

    python make_pspnet.py

The authors' network runs in their fork of Caffe only, so this states the paper (Zhao et al. 2017) once more,
independently of the zoo: torchvision's own ResNet-50, dilated to output stride 8, under the pyramid pooling
module of section 3.2 with PyTorch's adaptive pooling, and the auxiliary branch of section 3.3 on the third
stage. Once with half-pixel resizing, once with aligned corners.
"""

from pathlib import Path

import numpy as np
import torch
import torchvision
from make_torchvision import SIZES, nhwc, normalized, record, seeded
from torch import nn
from torch.nn import functional

CLASSES = 21
DEPTHS = {"c2": "backbone.layer1", "c5": "backbone.layer4", "fused": "fuse"}


def unit(inputs, outputs, size):
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class PSPNet(nn.Module):
    def __init__(self, align_corners):
        super().__init__()
        self.align_corners = align_corners
        resnet = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        del resnet.fc, resnet.avgpool
        self.backbone = resnet
        self.bins = (1, 2, 3, 6)
        self.levels = nn.ModuleList([unit(2048, 512, 1) for _ in self.bins])
        self.fuse = unit(2048 + 4 * 512, 512, 3)
        self.classifier = nn.Conv2d(512, CLASSES, 1)
        self.aux = unit(1024, 256, 3)
        self.aux_classifier = nn.Conv2d(256, CLASSES, 1)

    def resize(self, x, size):
        return functional.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)

    def forward(self, image):
        net, size = self.backbone, image.shape[2:]
        x = net.maxpool(net.relu(net.bn1(net.conv1(image))))
        third = net.layer3(net.layer2(net.layer1(x)))
        x = net.layer4(third)
        pyramid = [x]
        for bins, level in zip(self.bins, self.levels, strict=True):
            pooled = level(functional.adaptive_avg_pool2d(x, bins))
            pyramid.append(self.resize(pooled, x.shape[2:]))
        logits = self.classifier(self.fuse(torch.cat(pyramid, 1)))
        second = self.aux_classifier(self.aux(third))
        return {"out": self.resize(logits, size), "aux": self.resize(second, size)}


def goldens_of(model):
    goldens = {}
    for height, width in SIZES:
        key = f"{height}x{width}"
        hooks = record(goldens, key, model, DEPTHS)
        with torch.no_grad():
            result = model(normalized(height, width))
        for hook in hooks:
            hook.remove()
        logits = nhwc(result["out"])
        goldens[f"{key}/logits"] = logits[::4, ::4]
        goldens[f"{key}/mask"] = logits.argmax(-1).astype(np.uint8)
        goldens[f"{key}/auxiliary"] = nhwc(result["aux"])[::8, ::8]
    return goldens


def main():
    for convention, align_corners in (("half_pixel", False), ("align_corners", True)):
        path = Path(__file__).with_name(f"pspnet_{convention}.npz")
        np.savez_compressed(path, **goldens_of(seeded(PSPNet(align_corners))))
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
