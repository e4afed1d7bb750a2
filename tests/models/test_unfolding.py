"""Batch norm put back into a folded network: the same logits, and statistics that are those of the images."""

import numpy as np
import pytest

import zoo
from zoo.errors import InputError
from zoo.layers import FusedBatchNormalization
from zoo.models.unfolding import unfold

RNG = np.random.default_rng(2)
NAME = "deeplabv3_aspp_mobilenet_v2"
FOLDED = {"convention": "tf_deeplab_folded", "rates": (), "width": 0.35}


@pytest.fixture(scope="module")
def models():
    import keras

    keras.utils.set_random_seed(3)
    folded = zoo.load(NAME, None, classes=5, output_stride=16, settings=FOLDED)
    for variable in folded.variables:
        if variable.path.endswith("/bias"):
            variable.assign(RNG.normal(0, 0.2, variable.shape))
    images = [RNG.uniform(0, 255, (49, 65, 3)).astype(np.float32) for _ in range(3)]
    return folded, unfold(folded, images), images


def test_logits_stay(models):
    folded, found, _ = models
    image = RNG.uniform(0, 255, (1, 60, 47, 3)).astype(np.float32)
    one, other = (np.asarray(model(image, training=False)) for model in (folded, found))
    np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max())


def test_every_convolution_of_the_backbone_has_its_norm(models):
    _, found, images = models
    norms = [layer for layer in found.layers if isinstance(layer, FusedBatchNormalization)]
    convolutions = [layer for layer in found.layers if layer.name.endswith(".conv")]
    assert len(norms) == len(convolutions) > 50
    before = [norm.moving_mean.numpy() for norm in norms[:1]]
    found(np.stack(images), training=True)  # statistics of these very images: nothing moves
    np.testing.assert_allclose(norms[0].moving_mean.numpy(), before[0], atol=1e-4)


def test_it_starts_another_architecture(models, tmp_path):
    _, found, _ = models
    path = tmp_path / "start.keras"
    found.save(path)
    options = {"settings": {"convention": "tf_deeplab", "width": 0.35}, "classes": 3}
    plus = zoo.load("deeplabv3_plus_mobilenet_v2", path, **options)
    kernel = "backbone.block3.expand.conv"
    np.testing.assert_array_equal(
        plus.get_layer(kernel).get_weights()[0], found.get_layer(kernel).get_weights()[0]
    )


def test_what_cannot_be_unfolded(models):
    folded, found, images = models
    with pytest.raises(InputError, match="no folded batch norm: its convention is 'tf_deeplab'"):
        unfold(found, images)
    with pytest.raises(InputError, match="needs images"):
        unfold(folded, [])
