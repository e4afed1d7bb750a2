import json

import pytest
import tensorflow as tf
from support import training_fixtures as fixtures

from zoo.errors import InputError
from zoo.training import strategy as strategies
from zoo.training.strategy import distributed_iterator, is_chief, make_strategy


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "JOB_COMPLETION_INDEX", "ZOO_WORKERS", "TPU_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_one_device_is_the_default_strategy():
    assert make_strategy("one") is tf.distribute.get_strategy()
    assert is_chief(make_strategy("one"))


def test_mirrored_on_named_devices():
    made = make_strategy("auto", devices=["CPU:0"])
    assert isinstance(made, tf.distribute.MirroredStrategy)
    assert made.num_replicas_in_sync == 1
    assert is_chief(made)


def test_auto_prefers_workers_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert strategies._chosen(None) == "multi-worker"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert strategies._chosen(None) != "multi-worker"
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert strategies._chosen(None) == "multi-worker"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": 3}']
)
def test_a_bad_tf_config_is_one_clear_error(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG must look like"):
        make_strategy("auto")


@pytest.mark.parametrize(
    ("name", "devices", "message"),
    [
        ("horovod", None, "auto, one, mirrored, multi-worker, tpu, not 'horovod'"),
        ("mirrored", ["GPU:7"], "no such device: GPU:7; there are .*CPU:0"),
        ("one", ["CPU:0"], "takes no devices"),
        ("multi-worker", None, "neither TF_CONFIG nor a Slurm step"),
        ("tpu", None, "tpu strategy: TensorFlow sees no TPU on this machine, and TPU_NAME names none"),
        ("tpu", ["CPU:0"], "takes no devices"),
    ],
)
def test_impossible_strategies_are_refused(name, devices, message):
    with pytest.raises(InputError, match=message):
        make_strategy(name, devices=devices)


def test_iterator_starts_at_the_batch_asked_for():
    batches = fixtures.make_batches()
    iterator = distributed_iterator(batches, strategy=make_strategy("one"), start=5)
    image, mask = next(iterator)
    expected_image, expected_mask = next(iter(batches(5)))
    assert bool(tf.reduce_all(image == expected_image)) and bool(tf.reduce_all(mask == expected_mask))


def test_batches_must_divide_among_the_replicas():
    dataset = fixtures.make_batches(batch=4)(0)
    assert strategies._static_batch(dataset, 2) == 4
    with pytest.raises(InputError, match="a batch of 4 images cannot be shared equally by 3 replicas"):
        strategies._static_batch(dataset, 3)
    ragged = dataset.unbatch().batch(4)
    with pytest.raises(InputError, match="drop_remainder"):
        strategies._static_batch(ragged, 2)
