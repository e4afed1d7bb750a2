"""The context module against table 1 of the paper, and its initializer."""

import keras
import numpy as np
import pytest
from support.context_networks import context, small

from zoo.dilation.model import analyse
from zoo.errors import InputError
from zoo.models.heads.context import IdentityContext


@pytest.mark.parametrize("pad_once", [False, True])
@pytest.mark.parametrize("size", ["basic", "large"])
def test_receptive_fields_are_those_of_table_1(size, pad_once):
    model = context(module=size, pad_once=pad_once)
    names = [*(f"classifier.context.layer{i}.conv" for i in range(1, 8)), "classifier"]
    fields = [analyse(model, layer=name).receptive_field for name in names]
    assert fields == [(n, n) for n in (3, 5, 9, 17, 33, 65, 67, 67)]


def test_whole_network_sees_908_pixels():
    model = small()
    assert analyse(model, layer="classifier").receptive_field == (380 + 8 * 66,) * 2


@pytest.mark.parametrize("size, widths", [("basic", (1,) * 8), ("large", (2, 2, 4, 8, 16, 32, 32, 1))])
def test_widths_are_those_of_table_1(size, widths):
    model = context(classes=3, module=size)
    assert tuple(layer.filters // 3 for layer in model.layers if hasattr(layer, "filters")) == widths


@pytest.mark.parametrize("pad_once", [False, True])
@pytest.mark.parametrize("size", ["basic", "large"])
def test_module_passes_its_input_through_at_first(size, pad_once):
    """Scores above zero: those below are cut by the ReLU of every layer."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, (1, 20, 31, 4)).astype("float32")
    y = context(module=size, pad_once=pad_once, noise=0.0)(x)
    np.testing.assert_allclose(y, x, atol=1e-6)


def test_noise_breaks_ties_and_leaves_the_scores_recognizable():
    x = np.random.default_rng(0).uniform(0.5, 1.5, (1, 20, 31, 4)).astype("float32")
    error = np.abs(context(module="large")(x) - x).mean()
    assert 0 < error < 0.1 * x.mean()


def test_identity_kernels_by_the_equation():
    """Two classes, 2 → 4 channels: each output starts with half of its class."""
    kernel = np.asarray(IdentityContext(2)((3, 3, 2, 4)))
    wanted = np.zeros((3, 3, 2, 4))
    wanted[1, 1] = [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_array_equal(kernel, wanted)
    noisy = np.asarray(IdentityContext(2, noise=0.01, seed=1)((3, 3, 2, 4)))
    np.testing.assert_array_equal(noisy[wanted > 0], 0.5)
    assert 0 < np.abs(noisy[wanted == 0]).max() < 0.05
    assert (noisy[wanted == 0] != 0).all()


def test_initializer_is_serializable():
    initializer = IdentityContext(7, noise=0.02, seed=3)
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert again.get_config() == {"classes": 7, "noise": 0.02, "seed": 3}
    np.testing.assert_array_equal(again((3, 3, 7, 14)), initializer((3, 3, 7, 14)))


@pytest.mark.parametrize("shape", [(3, 3, 4, 3), (2, 2, 3, 3), (3, 3, 5, 6)])
def test_initializer_refuses_other_shapes(shape):
    with pytest.raises(InputError, match="divide by 3"):
        IdentityContext(3)(shape)
