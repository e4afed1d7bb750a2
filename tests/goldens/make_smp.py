"""Make `smp_<model>.npz` and `smp_names.npz` with the models of segmentation_models_pytorch.

Run where torch, torchvision and segmentation_models_pytorch are installed (made with torch 2.14, torchvision
0.29 and segmentation_models_pytorch 0.6):

    python make_smp.py

As `make_torchvision.py`: every parameter is drawn from its name, and of each size the file keeps a slice of
the features at several depths, some of the logits, and the arg-max of all pixels; the bias of the classifier
alone is not drawn (`balance`). The networks take only
images of whole cells, so that an image of another size is extended with the mean at the right and the bottom,
and the result is cut. In the wide image the taps of every ASPP branch see more than padding.

`smp_names.npz` holds the names and shapes of all tensors of the state dictionaries that belong to the
backbones here, one text for each network.
"""

from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from make_torchvision import SIZES, nhwc, normalized, record, seeded
from torch.nn import functional

CLASSES = 21
ENCODERS = ("resnet50", "resnet101", "resnet152", "mobilenet_v2")
RESNET = {"c2": "encoder.layer1", "c5": "encoder.layer4"}
MOBILE = {"c2": "encoder.features.3", "c5": "encoder.features.18"}
HEADS = {
    "deeplabv3_plus": {"aspp": "decoder.aspp.0", "head": "decoder.aspp.3", "decoder": "decoder.block2"},
    "deeplabv3_aspp": {"aspp": "decoder.aspp", "head": "decoder.relu"},
    "pspnet": {"pyramid": "decoder.psp", "fuse": "decoder.conv"},
}
BUILDERS = {"deeplabv3_plus": smp.DeepLabV3Plus, "deeplabv3_aspp": smp.DeepLabV3, "pspnet": smp.PSPNet}
AT_8, AT_16 = ((105, 305), 8), ((209, 601), 16)
# File → architecture, encoder, options, cells' side, and a wide image with the step between its logits.
NETWORKS = {
    "deeplabv3_plus_resnet50": ("deeplabv3_plus", "resnet50", {}, 16, AT_16),
    "deeplabv3_plus_mobilenet_v2": ("deeplabv3_plus", "mobilenet_v2", {}, 16, AT_16),
    "deeplabv3_plus_mobilenet_v2_at_8": (
        "deeplabv3_plus",
        "mobilenet_v2",
        {"encoder_output_stride": 8, "decoder_aspp_separable": False, "decoder_atrous_rates": (2, 4, 6)},
        8,
        None,
    ),
    "deeplabv3_aspp_resnet50": ("deeplabv3_aspp", "resnet50", {}, 8, AT_8),
    "deeplabv3_aspp_mobilenet_v2": ("deeplabv3_aspp", "mobilenet_v2", {}, 8, AT_8),
    "pspnet_resnet50": ("pspnet", "resnet50", {}, 8, None),
    "pspnet_mobilenet_v2": ("pspnet", "mobilenet_v2", {}, 8, None),
}


def built(architecture, encoder, **options):
    return BUILDERS[architecture](encoder, encoder_weights=None, classes=CLASSES, **options)


def depths_of(architecture, encoder):
    features = MOBILE if encoder == "mobilenet_v2" else RESNET
    deepest = {} if architecture == "pspnet" else {"c5": features["c5"]}
    return {"c2": features["c2"], **deepest, **HEADS[architecture]}


def balance(model, stride):
    """Give each class the same mean score: with drawn kernels alone one class is ahead everywhere.

    The bias that does it is kept, since it is drawn from no name.
    """
    bias = model.segmentation_head[0].bias
    with torch.no_grad():
        bias -= model(normalized(64, 64 + stride)).mean((0, 2, 3))
    return bias.detach().numpy().copy()


def goldens_of(architecture, encoder, options, stride, wide):
    model = seeded(built(architecture, encoder, **options))
    goldens = {"bias": balance(model, stride)}
    sizes = [(size, 4, 16) for size in SIZES] + ([(*wide, 2)] if wide else [])
    for (height, width), step, channels in sizes:
        key = f"{height}x{width}"
        hooks = record(goldens, key, model, depths_of(architecture, encoder), channels)
        image = functional.pad(normalized(height, width), (0, -width % stride, 0, -height % stride))
        with torch.no_grad():
            logits = nhwc(model(image))[:height, :width]
        for hook in hooks:
            hook.remove()
        goldens[f"{key}/logits"] = logits[::step, ::step]
        goldens[f"{key}/mask"] = logits.argmax(-1).astype(np.uint8)
    return goldens


def names_of(architecture, encoder, **options):
    state = built(architecture, encoder, **options).state_dict()
    return "\n".join(f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in state.items())


def names():
    """The text of every network as it is by default, and of both DeepLabs with the other kind of ASPP."""
    found = {}
    for encoder in ENCODERS:
        for architecture in BUILDERS:
            found[f"{architecture}_{encoder}"] = names_of(architecture, encoder)
        other = names_of("deeplabv3_plus", encoder, decoder_aspp_separable=False)
        found[f"deeplabv3_plus_{encoder}/dense"] = other
        other = names_of("deeplabv3_aspp", encoder, decoder_aspp_separable=True)
        found[f"deeplabv3_aspp_{encoder}/separable"] = other
    return {name: np.frombuffer(text.encode(), np.uint8) for name, text in found.items()}


def save(name, arrays):
    path = Path(__file__).with_name(f"smp_{name}.npz")
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size)


def main():
    save("names", names())
    for name, network in NETWORKS.items():
        save(name, goldens_of(*network))


if __name__ == "__main__":
    main()
