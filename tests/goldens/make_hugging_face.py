"""Make `hugging_face_<backbone>.npz` with transformers' MobileNetV2ForSemanticSegmentation.

Run where torch, torchvision and transformers are installed (made with torch 2.14 and transformers 5.24):

    python make_hugging_face.py

At output stride 8, which google/deeplabv3_mobilenet_v2_1.0_513 states in its configuration, and once at width
0.5 and stride 16. The network gives scores of the size of its features; they are enlarged as its image
processor does (``post_process_semantic_segmentation``), bilinearly by half-pixel centres.

`tf_deeplab_mobilenet_v2.npz` is the same network as TF-DeepLab runs it, from whose checkpoints transformers
converts its own: at stride 16, the image extended with the mean to a multiple of 16 plus 1, the scores
enlarged by aligned corners. Parameters and what is kept: `layouts.py`.
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
# File → width, output stride, and whether as TF-DeepLab runs it.
NETWORKS = {
    "hugging_face_mobilenet_v2": (1.0, 8, False),
    "hugging_face_mobilenet_v2_w050": (0.5, 16, False),
    "tf_deeplab_mobilenet_v2": (1.0, 16, True),
}


class Enlarged(nn.Module):
    """The network and its post-processing, under the network's own names."""

    def __init__(self, width, output_stride, extends):
        super().__init__()
        self.cell, self.extends = output_stride, extends
        config = MobileNetV2Config(
            depth_multiplier=width, output_stride=output_stride, num_labels=CLASSES, layer_norm_eps=1e-3
        )
        network = MobileNetV2ForSemanticSegmentation(config)
        self.mobilenet_v2, self.segmentation_head = network.mobilenet_v2, network.segmentation_head
        self.run = network.forward

    def forward(self, image):
        height, width = image.shape[2:]
        if self.extends:
            missing = [(1 - side) % self.cell for side in (width, height)]
            image = functional.pad(image, (0, missing[0], 0, missing[1]))
        options = {"size": image.shape[2:], "mode": "bilinear", "align_corners": self.extends}
        scores = functional.interpolate(self.run(pixel_values=image).logits, **options)
        return scores[:, :, :height, :width]


def image(height, width):
    """As the image processor of that repository gives it: 0…255 to −1…1."""
    x = (seeding.image(height, width) / 255 - 0.5) / 0.5
    return torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]


def main():
    for name, network in NETWORKS.items():
        model = Enlarged(*network)
        classifier = model.segmentation_head.classifier.convolution
        save(name, goldens_of(model, classifier, DEPTHS, image=image))


if __name__ == "__main__":
    main()
