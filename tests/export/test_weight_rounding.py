"""Kernels rounded to 8 bits by what they read: nearer in the output, on the grid, and only for a while."""

import keras
import numpy as np
import pytest
from support.tiny_export import SIZE, seeded, tiny

from zoo.export.core.deployment import prepare
from zoo.export.core.weight_rounding import rounded_kernels
from zoo.export.proof.parity import synthetic_image
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D

PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
CONVOLUTIONS = (DilatedConv2D, DilatedDepthwiseConv2D, keras.layers.Conv2D)


def kernels(network):
    return [layer for layer in network.layers if isinstance(layer, CONVOLUTIONS)]


def outputs(network):
    return np.concatenate([network(x[None].astype("float32")).numpy() for x in PHOTOS])


def on_the_grid(layer):
    """Kernel in steps of its filters' largest weight over 127, filters last."""
    kernel = np.asarray(layer.kernel, np.float64)
    axes = (0, 1) if isinstance(layer, DilatedDepthwiseConv2D) else (0, 1, 2)
    return kernel / (np.abs(kernel).max(axes, keepdims=True) / 127)


@pytest.fixture
def network():
    return prepare(tiny(), input_size=SIZE).network


def test_the_outputs_change_less_than_by_the_nearest_values(network):
    exact = outputs(network)
    with rounded_kernels(network, PHOTOS):
        best = outputs(network)
    for layer in kernels(network):
        steps = on_the_grid(layer)
        layer.kernel.assign(np.asarray(layer.kernel) * np.rint(steps) / np.where(steps == 0, 1, steps))
    nearest = outputs(network)
    assert 0 < np.std(best - exact) < 0.8 * np.std(nearest - exact)
    assert np.abs((best - exact).mean((0, 1, 2))).max() < 0.5 * np.std(nearest - exact)


def test_every_kernel_is_on_the_converters_grid_and_comes_back(network):
    before = [np.array(weight) for weight in network.weights]
    with rounded_kernels(network, PHOTOS):
        for layer in kernels(network):
            steps = on_the_grid(layer)
            np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    for value, weight in zip(before, network.weights, strict=True):
        np.testing.assert_array_equal(value, weight)
    with pytest.raises(RuntimeError), rounded_kernels(network, PHOTOS):
        raise RuntimeError
    np.testing.assert_array_equal(before[0], network.weights[0])


def test_zeros_of_a_pruned_model_stay():
    model = seeded(tiny())
    layer = model.get_layer("classifier")
    pruned = np.where(np.abs(layer.kernel) < np.median(np.abs(layer.kernel)), 0, layer.kernel)
    layer.kernel.assign(pruned)
    network = prepare(model, input_size=SIZE).network
    with rounded_kernels(network, PHOTOS):
        found = np.asarray(network.get_layer("classifier").kernel)
    assert (found[pruned == 0] == 0).all() and (found != pruned).any()
