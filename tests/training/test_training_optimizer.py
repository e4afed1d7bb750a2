import keras
import numpy as np
import pytest
from support import training_fixtures as fixtures

from zoo.errors import InputError
from zoo.training.optimizer import OptimizerConfig, freeze, frozen, make_optimizer


def stepped(config, *, steps=1, gradient=0.5):
    """Variables by path before and after updates with one constant gradient."""
    model = fixtures.tiny_model()
    before = {v.path: v.numpy() for v in model.trainable_variables}
    optimizer = make_optimizer(config, model.trainable_variables)
    for _ in range(steps):
        given = [keras.ops.full(v.shape, gradient) for v in model.trainable_variables]
        optimizer.apply(given, model.trainable_variables)
    return before, {v.path: v.numpy() for v in model.trainable_variables}


def test_backbone_has_its_own_rate_and_only_kernels_decay():
    config = OptimizerConfig(
        kind="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.2, backbone_factor=0.25
    )
    before, after = stepped(config)
    for path, old in before.items():
        rate = 0.025 if path.startswith("backbone") else 0.1
        decay = 0.2 if path.endswith("/kernel") else 0.0
        np.testing.assert_allclose(after[path], old * (1 - rate * decay) - rate * 0.5, rtol=1e-5, atol=1e-7)
    assert {path.rpartition("/")[2] for path in before} == {"kernel", "bias", "gamma", "beta"}


def test_adamw_equals_the_published_update():
    config = OptimizerConfig(learning_rate=0.01, weight_decay=0.1, backbone_factor=0.5)
    before, after = stepped(config, steps=3, gradient=0.5)
    for path, old in before.items():
        rate = 0.005 if path.startswith("backbone") else 0.01
        decay = 0.1 if path.endswith("/kernel") else 0.0
        # A constant gradient g has corrected moments g and g², so each step moves by the rate.
        expected = old.astype(np.float64)
        for _ in range(3):
            expected = expected * (1 - rate * decay) - rate
        np.testing.assert_allclose(after[path], expected, rtol=1e-5, atol=1e-6)


def test_momentum_accumulates():
    config = OptimizerConfig(kind="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.0)
    before, after = stepped(config, steps=2)
    # Steps of 0.05, then 0.05 · 0.5 + 0.05.
    np.testing.assert_allclose(after["classifier/bias"], before["classifier/bias"] - 0.125, rtol=1e-5)


def test_frozen_batch_norm_runs_in_inference_mode():
    model = fixtures.tiny_model(dropout=0.0)
    image = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    expected = np.asarray(model(image, training=False))
    statistics = model.get_layer("backbone.stem.bn").moving_mean
    with frozen(model, ["batch_norm"]) as flags:
        assert flags["backbone.stem.bn"] is True
        before = statistics.numpy()
        np.testing.assert_allclose(np.asarray(model(image, training=True)), expected, atol=1e-6)
        np.testing.assert_array_equal(statistics.numpy(), before)
        assert not any("bn" in v.path for v in model.trainable_variables)
    assert np.abs(np.asarray(model(image, training=True)) - expected).max() > 1e-3
    assert len(model.trainable_variables) == 5


def test_freeze_by_name():
    model = fixtures.tiny_model()
    assert freeze(model, ["backbone.stem"]) == ["backbone.stem.conv", "backbone.stem.bn"]
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"classifier"}


def test_freeze_refuses_unknown_parts_and_lists_the_known():
    with pytest.raises(InputError, match=r"'decoder'.*backbone.*classifier.*batch_norm"):
        freeze(fixtures.tiny_model(), ["decoder"])


def test_nothing_to_train_is_an_error():
    with pytest.raises(InputError, match="nothing to train"):
        make_optimizer(OptimizerConfig(), [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "adam"},
        {"learning_rate": -1.0},
        {"weight_decay": -0.1},
        {"backbone_factor": 0.0},
        {"momentum": 1.0},
    ],
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(InputError, match="adamw, sgd" if "kind" in wrong else next(iter(wrong))):
        OptimizerConfig(**wrong)
