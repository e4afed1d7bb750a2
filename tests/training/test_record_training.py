"""Training on records: the weights of the folder that they were packed from, whatever interrupts it."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from support import data_folders
from support.training_fixtures import tiny_model, weights_of

from zoo.datasets import open_dataset
from zoo.datasets.records import pack
from zoo.training import Recipe, train

RECIPE = Recipe(epochs=3, batch_size=4, crop=(8, 8), learning_rate=0.01, seed=3)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    source = open_dataset("folder", data_folders.folder(root / "mine", 18), split="all", classes=3)
    pack(source, root / "records", shards=4)
    tf.config.experimental.enable_op_determinism()
    yield source, open_dataset("records", root / "records", split="all")
    tf.config.experimental.disable_op_determinism()


def trained(data, **options):
    model = tiny_model()
    history = train(model, data, RECIPE, note=lambda message: None, **options)
    return history.losses, weights_of(model)


def stop_after_two_epochs(trained, scored):
    if trained["step"] == 8:
        raise KeyboardInterrupt


def test_equals_the_folder_and_goes_on_exactly(both, tmp_path):
    source, records = both
    losses, weights = trained(records)
    assert len(losses) == 12
    others = [trained(replace(source, order="files"))]
    with pytest.raises(KeyboardInterrupt):
        trained(records, output=tmp_path / "run", report=stop_after_two_epochs)
    others.append(trained(records, output=tmp_path / "run"))
    assert len(others[1][0]) == 4
    for found_losses, found in others:
        assert found_losses == losses[-len(found_losses) :]
        for name, value in weights.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_another_order_is_another_run(both, tmp_path):
    _, records = both
    trained(records, output=tmp_path / "run")
    with pytest.raises(ValueError, match="order of the data was files, now is samples"):
        trained(replace(records, order="samples"), output=tmp_path / "run")
