"""Make `mobilenet_v2_imagenet.npz` with torchvision's own model and its official ImageNet file.

Run where torch and torchvision are installed:

    python make_mobilenet_v2_imagenet.py mobilenet_v2-b0353104.pth

The image is drawn by a formula that the test repeats. For each size the file keeps a slice of the
features at three depths (stride 4, 16, 32; nominal output stride 32).
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision

SIZES = ((64, 64), (65, 97), (33, 48))
DEPTHS = {"c2": 3, "c4": 13, "c5": 17}  # index in torchvision's `features`
CHANNELS = 6


def image(height, width):
    rows, columns, channels = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    waves = np.sin(rows * 0.31 + channels) + np.cos(columns * 0.17 - 2 * channels)
    return np.round(127.5 + 60 * waves).astype(np.float32)


def main(path):
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(path, weights_only=True))
    model.eval()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    goldens = {}
    for height, width in SIZES:
        x = (image(height, width) / 255 - mean) / std
        x = torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]
        for index, layer in enumerate(model.features):
            with torch.no_grad():
                x = layer(x)
            for name, depth in DEPTHS.items():
                if index == depth:
                    slice_ = x[0, :CHANNELS].permute(1, 2, 0).numpy()
                    goldens[f"{height}x{width}/{name}"] = slice_.astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("mobilenet_v2_imagenet.npz"), **goldens)


if __name__ == "__main__":
    main(sys.argv[1])
