"""Batches from workers of a data service are those that are read directly, at any start and for any shard."""

import numpy as np
import pytest
import tensorflow as tf
from support import data_folders

from zoo.datasets import Augmentation, batches, open_dataset, shrink
from zoo.datasets.records import pack
from zoo.datasets.service import _MOST_WAITING, _Ordered, served_batches
from zoo.errors import InputError

OPTIONS = {"batch_size": 4, "crop": (7, 9), "augment": Augmentation(), "seed": 2}
DIRECT = {"shuffle": True, "repeat": None, "drop_remainder": True}
SERVICE = tf.data.experimental.service


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    source = open_dataset("folder", data_folders.folder(root / "mine", 18), split="all", classes=3)
    pack(source, root / "records", shards=4)
    return open_dataset("records", root / "records", split="all")


@pytest.fixture(scope="module")
def address():
    dispatcher = SERVICE.DispatchServer(SERVICE.DispatcherConfig(port=0))
    inside = dispatcher.target.partition("://")[2]
    workers = [SERVICE.WorkerServer(SERVICE.WorkerConfig(dispatcher_address=inside)) for _ in range(2)]
    yield dispatcher.target
    del workers


def taken(stream, steps):
    return [tuple(part.numpy() for part in batch) for batch in stream.take(steps)]


@pytest.mark.parametrize(("start", "shard"), [(0, (0, 1)), pytest.param(5, (0, 1)), pytest.param(3, (1, 2))])
def test_equals_what_is_read_directly(records, address, start, shard):
    place = {"start_step": start, "shard": shard}
    served = served_batches(records, address, **OPTIONS, **place)
    direct = batches(records, **OPTIONS, **DIRECT, **place)
    assert served.element_spec == direct.element_spec
    for ours, theirs in zip(taken(served, 6), taken(direct, 6), strict=True):
        # One of two decoders of JPEG rounds another way.
        assert np.abs(ours[0] - theirs[0]).max() < 3
        np.testing.assert_array_equal(ours[1], theirs[1])


class Source:
    epoch_steps = 400

    def __init__(self, numbers):
        self.numbers = numbers

    def batches(self, epoch, first):
        self.asked = epoch, first
        return self

    def as_numpy_iterator(self):
        return iter([(number, f"image {number}", f"mask {number}") for number in self.numbers])


def test_batches_are_put_in_order():
    source = Source([2, 0, 1, 3])
    ordered = _Ordered(source)
    assert [ordered.at(step)[0] for step in range(4)] == [f"image {n}" for n in range(4)]
    assert source.asked == (0, 0)
    assert ordered.at(402)[1] == "mask 2"
    assert source.asked == (1, 2)


@pytest.mark.parametrize("numbers", [[0, 2], range(1, _MOST_WAITING + 10)])
def test_a_lost_batch_is_told(numbers):
    ordered = _Ordered(Source(numbers))
    with pytest.raises(InputError, match="has lost a batch"):
        for step in range(2):
            ordered.at(step)


@pytest.mark.parametrize(
    "text", ["reader:5050", "grpc://reader", "grpc://:5", "grpc://a:99999", "http://a:1"]
)
def test_an_address_that_is_none(records, text):
    with pytest.raises(InputError, match="the address of a data service is grpc://HOST:PORT"):
        served_batches(records, text, **OPTIONS)


def test_nobody_answers(records):
    with pytest.raises(InputError, match=r"no data service answers at grpc://127\.0\.0\.1:1 "):
        served_batches(records, "grpc://127.0.0.1:1", **OPTIONS)


def test_what_a_service_cannot_read(records, address, tmp_path):
    root = data_folders.folder(tmp_path / "mine", 4)
    source = open_dataset("folder", root, split="all", classes=3)
    with pytest.raises(InputError, match="reads records, not the kind 'folder'"):
        served_batches(source, address, **OPTIONS)
    with pytest.raises(InputError, match="does not shrink images"):
        served_batches(shrink(records, (4, 4)), address, **OPTIONS)
    with pytest.raises(InputError, match="rare or paste"):
        served_batches(records, address, **{**OPTIONS, "augment": Augmentation(rare=0.5)})
    (root / "images" / "0.png").unlink()
    data_folders.save_image(root / "images" / "0.bmp")
    done = pack(open_dataset("folder", root, split="all", classes=3), tmp_path / "records", shards=1)
    assert [entry.plain for entry in done.index.shards[0].entries] == [False, True, True, True]
    with pytest.raises(InputError, match=r"0\.bmp: a data service decodes"):
        served_batches(open_dataset("records", tmp_path / "records", split="all"), address, **OPTIONS)
