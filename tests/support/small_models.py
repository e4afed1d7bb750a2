"""Every model of the registry, small: narrow, and with few blocks per stage."""

import numpy as np
import pytest

from zoo.labels import numbered
from zoo.models import registry
from zoo.models.backbones import mobilenet_v2, resnet

LABELS = numbered(3)
# The builder of their ResNet-50 with more blocks of the same kind, so that every run need not have them.
DEEPER = {
    "deeplabv3_aspp_resnet152",
    "deeplabv3_plus_resnet101",
    "deeplabv3_plus_resnet152",
    "pspnet_resnet152",
    "context_aggregation_resnet101",
    "context_aggregation_resnet152",
}
SPECS = [
    pytest.param(spec, id=spec.name, marks=[pytest.mark.slow] if spec.name in DEEPER else [])
    for spec in registry.MODELS
]
SMALL = {"mobilenet": {"width": 0.25}, "resnet": {}, "vgg": {"width": 0.02}}


def make_shallow(monkeypatch):
    """Few blocks per stage; what tests of whole models are about is in every one of them."""
    for depth in resnet.DEPTHS:
        monkeypatch.setitem(resnet.DEPTHS, depth, (1, 1, 2, 3))
    stages = tuple(stage._replace(repeats=min(stage.repeats, 2)) for stage in mobilenet_v2.STAGES)
    monkeypatch.setattr(mobilenet_v2, "STAGES", stages)


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
