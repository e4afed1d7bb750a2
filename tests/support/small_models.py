"""Every model of the registry, small: narrow, and with few blocks per stage."""

import numpy as np

from zoo.labels import numbered
from zoo.models.architectures import duc_hdc
from zoo.models.backbones import mobilenet_v2, resnet

LABELS = numbered(3)
SMALL = {"mobilenet": {"width": 0.25}, "resnet": {}, "vgg": {"width": 0.02}}


def make_shallow(monkeypatch):
    """Few blocks per stage; what tests of whole models are about is in every one of them."""
    for depth in resnet.DEPTHS:
        monkeypatch.setitem(resnet.DEPTHS, depth, (1, 1, 2, 3))
    stages = tuple(stage._replace(repeats=min(stage.repeats, 2)) for stage in mobilenet_v2.STAGES)
    for module in (mobilenet_v2, duc_hdc):
        monkeypatch.setattr(module, "STAGES", stages)


def make_narrow(monkeypatch):
    """Few channels in every ResNet."""
    monkeypatch.setattr(resnet, "WIDTHS", (4, 8, 12, 16))


def build(spec, **changes):
    """A model of the registry, narrow where its builder has a width."""
    settings = {**spec.settings, **next(v for key, v in SMALL.items() if key in spec.backbone), **changes}
    if spec.architecture == "duc_hdc":
        settings |= {"rates": "uniform", "allow_gridding": True}  # the hybrid ones are for all blocks
    return spec.build()(label_set=LABELS, **settings)


def randomize(model, seed=0):
    """Weights other than those after initialization, batch statistics included."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        noise = rng.normal(0, 0.1, variable.shape)
        variable.assign(np.abs(variable.numpy() + noise) if "variance" in variable.path else variable + noise)
