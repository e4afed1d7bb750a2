"""Make `hugging_face_<backbone>.npz` with transformers' MobileNetV2ForSemanticSegmentation.

Run where torch, torchvision and transformers are installed (made with torch 2.14 and transformers 5.24):

    python make_hugging_face.py

At output stride 8, which google/deeplabv3_mobilenet_v2_1.0_513 states in its configuration, and once at width
0.5 and stride 16. The network gives scores of the size of its features; they are enlarged as its image
processor does (``post_process_semantic_segmentation``), bilinearly by half-pixel centres. Parameters and what
is kept: `layouts.py`.
"""

import seeding
import torch
from layouts import goldens_of, save
from torch import nn
from torch.nn import functional
from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

CLASSES = 21
DEPTHS = {"c2": "mobilenet_v2.layer.1", "c5": "mobilenet_v2.layer.15"}
DEPTHS |= {"project": "segmentation_head.conv_projection"}
# File → width and output stride.
NETWORKS = {"mobilenet_v2": (1.0, 8), "mobilenet_v2_w050": (0.5, 16)}


class Enlarged(nn.Module):
    """The network and its post-processing, under the network's own names."""

    def __init__(self, width, output_stride):
        super().__init__()
        config = MobileNetV2Config(
            depth_multiplier=width, output_stride=output_stride, num_labels=CLASSES, layer_norm_eps=1e-3
        )
        network = MobileNetV2ForSemanticSegmentation(config)
        self.mobilenet_v2, self.segmentation_head = network.mobilenet_v2, network.segmentation_head
        self.run = network.forward

    def forward(self, image):
        scores = self.run(pixel_values=image).logits
        return functional.interpolate(scores, size=image.shape[2:], mode="bilinear", align_corners=False)


def image(height, width):
    """As the image processor of that repository gives it: 0…255 to −1…1."""
    x = (seeding.image(height, width) / 255 - 0.5) / 0.5
    return torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]


def main():
    for name, (width, output_stride) in NETWORKS.items():
        model = Enlarged(width, output_stride)
        classifier = model.segmentation_head.classifier.convolution
        save(f"hugging_face_{name}", goldens_of(model, classifier, DEPTHS, image=image))


if __name__ == "__main__":
    main()
