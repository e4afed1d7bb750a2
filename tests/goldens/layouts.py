"""What the scripts for layouts of other packages keep of a network: see `make_smp.py`, which keeps the same.

Every parameter is drawn from its name, but the bias of the classifier, which is chosen so that no class is
ahead everywhere, and is kept. Of each size there is a slice of the features at several depths, some of the
logits, and the arg-max of all pixels.
"""

from pathlib import Path

import numpy as np
import torch
from make_torchvision import SIZES, nhwc, normalized, record, seeded


def outputs_of(model, image):
    """The logits, and those of an auxiliary head where the model has one."""
    result = model(image)
    return result if isinstance(result, tuple) else (result,)


def balance(classifier, model, image):
    """Give each class the same mean score, and return the bias that does it."""
    with torch.no_grad():
        classifier.bias -= outputs_of(model, image(64, 72))[0].mean((0, 2, 3))
    return classifier.bias.detach().numpy().copy()


def goldens_of(model, classifier, depths, wide=None, *, image=normalized):
    """The arrays of a golden file.

    Args:
        model: A module from an image to logits of its size, or to these and auxiliary ones.
        classifier: Its last convolution.
        depths: Names of modules by the names under which their results are kept.
        wide: Another size, and the step between the logits that are kept of it.
        image: Function from height and width to the image as the network takes it.
    """
    model = seeded(model)
    goldens = {"bias": balance(classifier, model, image)}
    for (height, width), step in [*((size, 4) for size in SIZES), *([wide] if wide else [])]:
        key = f"{height}x{width}"
        hooks = record(goldens, key, model, depths)
        with torch.no_grad():
            logits, *auxiliary = map(nhwc, outputs_of(model, image(height, width)))
        for hook in hooks:
            hook.remove()
        goldens[f"{key}/logits"] = logits[::step, ::step]
        goldens[f"{key}/mask"] = logits.argmax(-1).astype(np.uint8)
        for second in auxiliary:
            goldens[f"{key}/auxiliary"] = second[:: 2 * step, :: 2 * step]
    return goldens


def save(name, arrays):
    path = Path(__file__).with_name(f"{name}.npz")
    np.savez_compressed(path, **arrays)
    print(path.name, path.stat().st_size)
