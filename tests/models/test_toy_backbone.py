"""A backbone of one's own: a function, a row of the table, and every architecture that fits has it."""

import numpy as np
import pytest

import zoo
from zoo.dilation import analyse
from zoo.models import Backbone, register_backbone, unregister_backbone
from zoo.models.blocks import Norm, StrideTracker, conv_bn_act


def toy(x, *, convention, output_stride, width=1.0):
    """Four 3×3 convolutions of stride 2, as far as the output stride allows."""
    norm, tracker = Norm(convention.epsilon, convention.batch_norm), StrideTracker(output_stride)
    features = {}
    for stage in range(1, 5):
        stride, rate = tracker.take(2)
        place = {"strides": stride, "rate": rate, "name": f"backbone.stage{stage}"}
        x = conv_bn_act(x, max(1, round(8 * stage * width)), 3, norm=norm, **place)
        features[f"c{stage}"] = x
    return features


@pytest.fixture
def row():
    made = Backbone(
        name="toy",
        builder=toy,
        features={"c1": 2, "c2": 4, "c3": 8, "c4": 16},
        last="c4",
        auxiliary="c3",
        conventions=("torchvision",),
        can={"width"},
    )
    register_backbone(made)
    yield made
    unregister_backbone("toy")


@pytest.mark.parametrize(
    "architecture", ["deeplabv3_aspp", "deeplabv3_plus", "pspnet", "context_aggregation"]
)
def test_every_architecture_that_fits_has_it(row, architecture, tmp_path):
    name = f"{architecture}_toy"
    assert name in zoo.list_models(architecture)
    model = zoo.load(name, weights=None, classes=3, settings={"width": 0.5})
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 47, 3)).astype("float32")
    assert model(image).shape == (1, 33, 47, 3)
    assert zoo.segment(model, image[0]).mask.shape == (33, 47)
    assert analyse(model).output_stride == (16 if architecture.startswith("deeplabv3") else 8,) * 2
    model.save(tmp_path / "m.keras")
    again = zoo.load(name, tmp_path / "m.keras")
    np.testing.assert_array_equal(again(image), model(image))
    assert zoo.info(name).parameters == zoo.load(name, weights=None).count_params()
