"""A run whose folder is in a store goes on from there, on any machine."""

import numpy as np
import pytest
from support import data_folders
from support.training_fixtures import tiny_model, weights_of

from zoo.datasets import open_dataset
from zoo.training import Recipe, train

fsspec = pytest.importorskip("fsspec")


def memory():
    return fsspec.filesystem("memory")


def test_a_run_goes_on_from_its_copy(tmp_path):
    root = data_folders.folder(tmp_path / "mine", 8)
    data = open_dataset("folder", root, split="all", classes=3)
    recipe = Recipe(epochs=3, batch_size=4, crop=(8, 8), learning_rate=0.01)

    def trained(output, report=None):
        model = tiny_model()
        history = train(model, data, recipe, output=output, report=report, note=lambda message: None)
        return len(history.losses), weights_of(model)

    def stop(trained, scored):
        if trained["step"] == 4:
            raise KeyboardInterrupt

    steps, whole = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained("memory://bucket/run", stop)
    assert b'"step-4"' in memory().cat("/bucket/run/checkpoints/checkpoint")
    found, weights = trained("memory://bucket/run")
    assert (steps, found) == (6, 2)
    for name, value in whole.items():
        np.testing.assert_allclose(weights[name], value, atol=1e-6, err_msg=name)
    names = {key.removeprefix("/bucket/run/") for key in memory().find("/bucket/run")}
    assert {"final.keras", "recipe.json", "run.json", "training.csv", "checkpoints/step-6.index"} <= names
    assert "checkpoints/step-2.index" not in names
    assert not [name for name in names if name.startswith(".")]
