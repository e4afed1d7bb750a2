"""Batches of records: those of the folder in the same order, shared out by file, entered at any step."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from support import data_folders

from zoo.datasets import Augmentation, batches, open_dataset
from zoo.datasets.order import interleaved_order
from zoo.datasets.records import pack
from zoo.errors import InputError

OPTIONS = {
    "batch_size": 4,
    "crop": (6, 8),
    "augment": Augmentation(),
    "shuffle": True,
    "seed": 5,
    "repeat": None,
    "drop_remainder": True,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("records")
    source = open_dataset("folder", data_folders.folder(root / "mine", 18), split="all", classes=3)
    pack(source, root / "records", shards=4)
    return source, open_dataset("records", root / "records", split="all")


def taken(dataset, steps=9, **options):
    stream = batches(dataset, **{**OPTIONS, **options})
    return [tuple(part.numpy() for part in batch) for batch in stream.take(steps)]


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("order", ["samples", "files"])
def test_records_give_the_batches_of_the_folder(both, order):
    source, records = (replace(dataset, order=order) for dataset in both)
    whole = taken(source)
    same(taken(records), whole)
    same(taken(records, 4, start_step=5), whole[5:])


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_batches_and_read_their_own_files(both, workers, monkeypatch):
    _, records = both
    whole, read = taken(records), set()
    files = sorted({image.holder.name for image, _ in records.pairs})
    content = type(records.pairs[0][0]).content
    monkeypatch.setattr(
        type(records.pairs[0][0]), "content", lambda self: read.add(self.holder.name) or content(self)
    )
    for index in range(workers):
        read.clear()
        part = taken(records, shard=(index, workers))
        rows = 4 // workers
        same(part, [tuple(x[index * rows : (index + 1) * rows] for x in batch) for batch in whole])
        # 18 samples in four files: parts of equal length end within a file.
        first = index * len(files) // workers
        own = set(files[first : (index + 1) * len(files) // workers])
        assert own <= read <= own | set(files[max(0, first - 1) : first])


def test_each_epoch_has_each_sample_once():
    epochs = [interleaved_order(18, batch=4, seed=1, epoch=epoch) for epoch in range(200)]
    for order in epochs:
        assert order.shape == (16,)
        assert len(set(order.tolist())) == 16
        for place, (first, last) in enumerate(((0, 4), (4, 9), (9, 13), (13, 18))):
            assert ((order[place::4] >= first) & (order[place::4] < last)).all()
    # Of five samples in a part four are taken, each as often as the others.
    seen = np.bincount(np.concatenate(epochs), minlength=18)
    assert (seen[[0, 1, 2, 3, 9, 10, 11, 12]] == 200).all()
    assert 130 < seen[4:9].min() <= seen[4:9].max() < 190


def test_fewer_files_than_workers_is_one_line(both):
    _, records = both
    with pytest.raises(InputError, match="8 workers need as many files of records, but all has 4: pack it"):
        batches(records, **{**OPTIONS, "batch_size": 8}, shard=(0, 8))
    with pytest.raises(InputError, match="full batches"):
        batches(records, **{**OPTIONS, "drop_remainder": False})
    with pytest.raises(InputError, match="order must be one of samples, files, not 'any'"):
        replace(records, order="any")


def test_paths_within_a_shard_can_be_copied(both):
    image, mask = both[1].pairs[0]
    for copied in (copy.deepcopy(image), pickle.loads(pickle.dumps(image))):
        assert copied.content() == image.content()
    assert mask.parent.parent.parent == image.holder.parent
    assert type(mask.parent) is type(image.holder) or mask.parent.holder is None
    assert not image.is_dir()
    with pytest.raises(InputError, match="is read as bytes only"):
        image.open("w")
