"""Compression gives the same numbers whatever the global settings of Keras and of tf_keras say."""

import keras
import numpy as np
import pytest
from support.compression_fixtures import block_batches, mini, tiny, tuning

from zoo import compression
from zoo.compression.requirements import require

tf_keras = require("tf_keras")
SETTINGS = ("image_data_format", "floatx", "epsilon")
METHODS = {
    "prune": lambda model, how: compression.prune(model, compression.PruningConfig(sparsity=0.5), how),
    "cluster": lambda model, how: compression.cluster(model, compression.ClusteringConfig(clusters=8), how),
    "qat": compression.quantize,
}


@pytest.fixture
def others():
    """A function that sets other globals in both; those of before come back."""
    before = [[getattr(at, name)() for name in SETTINGS] for at in (keras.config, tf_keras.backend)]
    policies = keras.config.dtype_policy(), tf_keras.mixed_precision.global_policy()

    def set_all(values):
        for at, own in zip((keras.config, tf_keras.backend), values, strict=True):
            for name, value in zip(SETTINGS, own, strict=True):
                getattr(at, f"set_{name}")(value)

    yield lambda: set_all([("channels_first", "float16", 1e-2)] * 2)
    set_all(before)
    keras.config.set_dtype_policy(policies[0])
    tf_keras.mixed_precision.set_global_policy(policies[1])


def test_a_network_computes_the_same(others):
    model = tiny(dropout=0)
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 33, 3)).astype("float32")
    want = model(image, training=False).numpy()
    others()
    network = compression.to_tf_keras(model).network
    np.testing.assert_allclose(network(image, training=False).numpy(), want, rtol=0, atol=1e-5)
    assert {v.dtype.name for v in network.weights} == {"float32"}
    assert [getattr(tf_keras.backend, name)() for name in SETTINGS] == ["channels_first", "float16", 1e-2]


@pytest.mark.parametrize("method", METHODS)
def test_training_takes_the_same_steps(others, method):
    def weights():
        keras.utils.set_random_seed(3)
        how = tuning(2, validate=None, batches=block_batches(batch=2))
        return METHODS[method](model, how).model.get_weights()

    model = mini()
    want = weights()
    others()
    found = weights()
    assert [x.dtype for x in found] == [x.dtype for x in want]
    for one, other in zip(found, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
