"""Checkpoints in folders whose names hold characters that TensorFlow takes for patterns."""

import keras
import pytest
from support.tiny_export import tiny

from zoo.training.checkpoints import Checkpoints, RunState


@pytest.mark.parametrize("name", ["run[1]", "a?b*", "plain"])
def test_what_was_saved_is_restored_and_old_ones_go(name, tmp_path):
    folder = tmp_path / name

    def opened(seed):
        model, optimizer = tiny(seed=seed), keras.optimizers.SGD(name="sgd")
        optimizer.build(model.trainable_variables)
        return model, Checkpoints(folder, model=model, optimizer=optimizer, average=None, keep=2)

    model, checkpoints = opened(0)
    for step in (1, 2, 3):
        checkpoints.save(RunState(step=step))
    other, resumed = opened(1)
    assert resumed.restore().step == 3
    assert (other.weights[0].numpy() == model.weights[0].numpy()).all()
    assert sorted(path.name for path in folder.glob("*.index")) == ["step-2.index", "step-3.index"]
