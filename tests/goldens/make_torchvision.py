"""Make `torchvision_<model>.npz` with torchvision's own models and parameters drawn from their names.

Run where torch and torchvision are installed (made with torch 2.14 and torchvision 0.29):

    python make_torchvision.py [MODEL …]

No file of weights is needed: `seeding.draw` makes every parameter from its torchvision name. For each size
the file keeps a slice of the features at three depths; for the DeepLabv3 models also every fourth logit, the
arg-max of all pixels, and every eighth auxiliary logit. Only a wide image lets the taps of the largest ASPP
rate (36 cells) see anything but padding, so there is one such size, sampled more thinly.
"""

import sys
from pathlib import Path

import numpy as np
import seeding
import torch
import torchvision

SIZES = ((64, 64), (65, 65), (49, 97))
CHANNELS = 4
# Size and step between the logits that are kept; 39 and 38 cells wide.
WIDE = {
    "deeplabv3_resnet50": ((105, 305), 8),
    "deeplabv3_resnet101": ((105, 305), 8),
    "deeplabv3_mobilenet_v3_large": ((209, 601), 16),
}
SEGMENTATION = ("deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large")
# Without an auxiliary output.
LIGHT = ("lraspp_mobilenet_v3_large",)
# Modules whose results are kept, by the name of our feature.
RESNET = {"c2": "layer1", "c4": "layer3", "c5": "layer4"}
DEPTHS = {
    "deeplabv3_resnet50": {k: f"backbone.{v}" for k, v in RESNET.items()},
    "deeplabv3_resnet101": {k: f"backbone.{v}" for k, v in RESNET.items()},
    "deeplabv3_mobilenet_v3_large": {"c2": "backbone.3", "c4": "backbone.12", "c5": "backbone.16"},
    "lraspp_mobilenet_v3_large": {
        "c2": "backbone.3",
        "c3_first": "backbone.4",
        "c5": "backbone.16",
        "reduced": "classifier.cbr",
        "gate": "classifier.scale",
    },
    "resnet50": RESNET,
    "mobilenet_v3_large": {"c2": "features.3", "c4": "features.12", "c5": "features.16"},
}


def seeded(model):
    """The model with all its floating-point tensors drawn, ready for inference."""
    state = model.state_dict()
    drawn = {n: torch.tensor(seeding.draw(n, tuple(t.shape))) for n, t in state.items() if t.ndim}
    model.load_state_dict({**state, **drawn})
    return model.eval()


def normalized(height, width):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = (seeding.image(height, width) / 255 - mean) / std
    return torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]


def nhwc(tensor):
    return tensor[0].permute(1, 2, 0).numpy().astype(np.float32)


def record(goldens, key, model, depths, channels=CHANNELS):
    """Keep slices of what the modules named in `depths` compute from now on."""

    def keep(depth):
        def hook(_, __, output):
            goldens[f"{key}/{depth}"] = nhwc(output)[..., :channels]

        return hook

    modules = dict(model.named_modules())
    return [modules[path].register_forward_hook(keep(depth)) for depth, path in depths.items()]


def goldens_of(name):
    is_segmentation = name in SEGMENTATION + LIGHT
    build = getattr(torchvision.models.segmentation if is_segmentation else torchvision.models, name)
    options = {"weights_backbone": None} if is_segmentation else {}
    if name in SEGMENTATION:
        options["aux_loss"] = True
    model = seeded(build(weights=None, **options))
    goldens = {}
    sizes = [(size, 4, CHANNELS) for size in SIZES] + ([(*WIDE[name], 1)] if name in WIDE else [])
    for (height, width), step, channels in sizes:
        key = f"{height}x{width}"
        hooks = record(goldens, key, model, DEPTHS[name], channels)
        with torch.no_grad():
            result = model(normalized(height, width))
        for hook in hooks:
            hook.remove()
        if is_segmentation:
            logits = nhwc(result["out"])
            goldens[f"{key}/logits"] = logits[::step, ::step]
            goldens[f"{key}/mask"] = logits.argmax(-1).astype(np.uint8)
        if name in SEGMENTATION:
            goldens[f"{key}/auxiliary"] = nhwc(result["aux"])[:: 2 * step, :: 2 * step]
    return goldens


def main(names):
    for name in names or DEPTHS:
        path = Path(__file__).with_name(f"torchvision_{name}.npz")
        np.savez_compressed(path, **goldens_of(name))
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
